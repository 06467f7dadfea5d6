"""Django's command line, for people who look for it here: ``python server/manage.py``."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run a Django management command with the repository on the path."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
