"""``linewarden-agent``, and ``python -m device_agent``: the launcher, then the command."""

from __future__ import annotations

import sys

from device_agent.launcher import launch


def main() -> int:
    """Exit status as in ``cli``."""
    launch(sys.argv[1:])  # may become another agent's code
    from device_agent.cli import main as work

    return work()


if __name__ == "__main__":
    raise SystemExit(main())
