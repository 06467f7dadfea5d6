"""``manage.py make_broker_folder [DIR] [--host H]``: all that Mosquitto needs to be ours."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from server.broker.folder import broker_folder, configured_hosts, write_folder
from server.trust.certificates import who_is_shut_out


class Command(BaseCommand):
    """Writes the folder as ``python -m server broker`` keeps it, and says how to start it."""

    help = "Write mosquitto.conf, access rules, authority, certificate and revocations."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to, and how the broker is reached."""
        parser.add_argument("folder", nargs="?", type=Path, help="LINEWARDEN_BROKER_FOLDER if none")
        parser.add_argument(
            "--host", action="append", default=[], help="a name or address; may be repeated"
        )
        parser.add_argument("--port", type=int, help="LINEWARDEN_BROKER_PORT if none")

    def handle(
        self, *, folder: Path | None, host: list[str], port: int | None, **_options: Any
    ) -> None:
        """Write it."""
        hosts = host or configured_hosts()
        if not hosts:
            raise CommandError("Say how devices reach the broker: --host push.example.com")
        folder = (folder or broker_folder()).absolute()
        write_folder(
            folder,
            hosts=hosts,
            port=port or settings.ENV.broker_port,
            shut_out=who_is_shut_out(),
        )
        self.stdout.write(f"mosquitto -c {folder}/mosquitto.conf")
