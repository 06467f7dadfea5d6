"""How OpenAPI names our authentication."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class ApiTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # it registers itself
    """Found by drf-spectacular through its class, once this module is imported."""

    target_class = "server.accounts.authentication.ApiTokenAuthentication"
    name = "apiToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        """A bearer token that begins with ``lw_``."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "lw_…"}
