"""Who calls: an API token as ``Authorization: Bearer``."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication


class ApiTokenAuthentication(BaseAuthentication):
    """Being written."""
