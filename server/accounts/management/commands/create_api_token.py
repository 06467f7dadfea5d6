"""``manage.py create_api_token USER NAME``: a credential for a program, shown this once."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from server.accounts.models import User
from server.accounts.services import create_api_token
from server.lib import clock


class Command(BaseCommand):
    """Prints the token and nothing else, so that a script can take it."""

    help = "Make an API token of a user and print it; only its digest is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose token, what for, how long."""
        parser.add_argument("user")
        parser.add_argument("name", help="what it is for")
        parser.add_argument("--days", type=int, default=90, help="until it expires; 90 by default")

    def handle(self, *, user: str, name: str, days: int, **_options: Any) -> None:
        """Make it."""
        owner = User.objects.filter(username=user, is_active=True).first()
        if owner is None:
            raise CommandError(f"There is no user {user!r} who may sign in.")
        if days < 1:
            raise CommandError("A token lives one day at least.")
        expires_at = clock.now() + timedelta(days=days)
        token = create_api_token(user=owner, name=name, expires_at=expires_at, actor="console")
        self.stdout.write(token)
