"""Who acts, in the words of the audit log."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.request import Request

from server.accounts.models import ApiToken

MAX_ACTOR = 200
SYSTEM = "system"
"""The actor of sweeps and of first starts."""


def actor_of(request: HttpRequest | Request) -> str:
    """``user:ada``, or ``token:ci of ada`` where a program acts with her token."""
    token = getattr(request, "auth", None)
    name = request.user.get_username()
    actor = f"token:{token.name} of {name}" if isinstance(token, ApiToken) else f"user:{name}"
    return actor[:MAX_ACTOR]
