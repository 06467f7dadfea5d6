"""RFC 9457 problem documents."""

from __future__ import annotations

from typing import Any

from rest_framework.views import exception_handler


def handle_exception(error: Exception, context: dict[str, Any]) -> Any:
    """Being written."""
    return exception_handler(error, context)
