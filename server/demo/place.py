"""Where an embedded Linewarden lives: its folder, its port, its addresses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

POLL_S = 2.0
TICK_S = 1.0


@dataclass(frozen=True)
class Place:
    """One data folder and one port of the loopback interface."""

    data: Path
    port: int

    @property
    def url(self) -> str:
        """Where people and devices reach the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What the server's processes are told. A brisk pace: everything is on one machine."""
        return {
            "DJANGO_SETTINGS_MODULE": "server.config.settings",
            "LINEWARDEN_DATA": str(self.data),
            "LINEWARDEN_PUBLIC_URL": self.url,
            "LINEWARDEN_POLL_S": str(POLL_S),
            "LINEWARDEN_TICK_S": str(TICK_S),
            "PYTHONUNBUFFERED": "1",
        }

    def configure_django(self) -> None:
        """Point this process at the place too. Call before anything imports the settings."""
        os.environ.update(self.environment)
        import django

        django.setup()
