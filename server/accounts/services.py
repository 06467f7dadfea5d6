"""Who may enter: tokens, roles, the first admin."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from server.accounts import audit
from server.accounts.models import ApiToken, Role, RoleAssignment, User
from server.lib import clock
from server.lib.errors import Conflict, Invalid

TOKEN_PREFIX = "lw_"  # noqa: S105 - the mark of our tokens, so that scanners find a leaked one


def digest_token(token: str) -> str:
    """What is stored of a token. A plain hash will do: the token has 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def create_api_token(
    *, user: User, name: str, expires_at: datetime | None = None, actor: str
) -> str:
    """A new token of ``user``, in plain: it is returned this once and never again."""
    if expires_at is not None and expires_at <= clock.now():
        raise Invalid("The token would have expired already.")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = ApiToken.objects.create(
        user=user,
        name=name,
        digest=digest_token(token),
        created_at=clock.now(),
        expires_at=expires_at,
    )
    audit.record(
        actor=actor,
        action="create",
        subject="api_token",
        subject_id=str(row.pk),
        after={"user": user.username, "name": name},
    )
    return token


@transaction.atomic
def revoke_api_token(*, token: ApiToken, actor: str, reason: str = "") -> None:
    """The token stops working with the next call."""
    token_id, before = str(token.pk), {"user": token.user.username, "name": token.name}
    token.delete()
    audit.record(
        actor=actor,
        action="revoke",
        subject="api_token",
        subject_id=token_id,
        reason=reason,
        before=before,
    )


@transaction.atomic
def assign_role(*, user: User, role: Role, site: str = "", actor: str) -> RoleAssignment:
    """Give ``user`` this role at ``site``, or everywhere, in place of the one it has there."""
    assignment, _ = RoleAssignment.objects.update_or_create(
        user=user, site=site, defaults={"role": role}
    )
    user.forget_assignments()
    audit.record(
        actor=actor,
        action="assign_role",
        subject="user",
        subject_id=str(user.pk),
        after={"user": user.username, "role": role, "site": site},
    )
    return assignment


@transaction.atomic
def ensure_admin(*, username: str, password: str, actor: str) -> User:
    """The superuser of that name: made now, or left as it is, its password too."""
    existing = User.objects.filter(username=username).first()
    if existing is not None:
        if not existing.is_superuser:
            raise Conflict(f"There is a user {username!r} who is no superuser; take another name.")
        return existing
    user = User(username=username, is_staff=True, is_superuser=True)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages)) from None
    user.set_password(password)
    user.save()
    audit.record(
        actor=actor,
        action="create",
        subject="user",
        subject_id=str(user.pk),
        after={"username": username, "is_superuser": True},
    )
    return user
