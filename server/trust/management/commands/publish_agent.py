"""``manage.py publish_agent WHEEL``: sign an agent, on the machine that holds the key."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from server.lib.errors import DomainError
from server.trust.agents import publish_agent


class Command(BaseCommand):
    """Publishes; nobody runs it before a group is told to."""

    help = "Sign a wheel of the agent, so that groups can be told to run it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which file."""
        parser.add_argument("wheel", type=Path)

    def handle(self, *, wheel: Path, **_options: Any) -> None:
        """Sign it."""
        try:
            release = publish_agent(wheel=wheel, actor="console")
        except DomainError as error:
            raise CommandError(error.detail) from None
        except OSError as error:
            raise CommandError(f"{wheel} cannot be read: {error.strerror}.") from None
        self.stdout.write(
            f"agent {release.version} is signed, counter {release.counter}; let a group run it "
            f'with PATCH /api/v1/groups/NAME {{"agent_release": "{release.version}"}}'
        )
