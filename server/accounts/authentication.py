"""Who calls: an API token as ``Authorization: Bearer lw_…``."""

from __future__ import annotations

from django.db.models import Q
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from server.accounts.models import ApiToken, User
from server.accounts.services import TOKEN_PREFIX, digest_token
from server.lib import clock

_REFUSED = "This API token is not known, has expired, or its user is not active."
"""One sentence for all, so that a guess learns nothing."""


class ApiTokenAuthentication(BaseAuthentication):
    """Takes bearer tokens that begin with ``lw_``; leaves others to who knows them."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """The token's user and the token, or None where no token of ours is given."""
        scheme, _, value = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = value.strip()
        if not token.startswith(TOKEN_PREFIX):
            raise AuthenticationFailed(_REFUSED)
        row = (
            ApiToken.objects.select_related("user")
            .filter(Q(expires_at=None) | Q(expires_at__gt=clock.now()))
            .filter(digest=digest_token(token), user__is_active=True)
            .first()
        )
        if row is None:
            raise AuthenticationFailed(_REFUSED)
        return row.user, row

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        """Makes the answer to a stranger 401 and not 403."""
        return 'Bearer realm="linewarden"'
