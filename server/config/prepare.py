"""The first start, and every later one: tables, seeds, keys, and somebody who may sign in."""

from __future__ import annotations

import secrets

from django.core.management import call_command

ADMIN = "admin"


def prepare() -> str | None:
    """Migrate and seed; may run twice. Returns the admin's password when it was made just now.

    Raises StorageAway, before anything is changed, where blobs could not be stored.
    """
    from server.lib.storage import require_storage

    require_storage()
    call_command("migrate", verbosity=0, interactive=False)
    from server.accounts.models import User
    from server.accounts.services import ensure_admin
    from server.fleet.services import seed_profiles
    from server.trust.services import ensure_repository

    seed_profiles()
    ensure_repository()
    if User.objects.filter(username=ADMIN).exists():
        return None
    password = secrets.token_urlsafe(12)
    ensure_admin(username=ADMIN, password=password, actor="installer")
    return password
