"""Request bodies of the API, with limits that DRF's own parsers lack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from server.lib import documents
from server.lib.errors import TooLarge


class JsonParser(BaseParser):
    """JSON of limited size and depth: a deep document is a 400, and never a RecursionError."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,  # noqa: ARG002 - DRF's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """The decoded document; ParseError where it is none, Invalid where it cannot be stored."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"The request is larger than {limit} bytes.", max_bytes=limit)
        try:
            return documents.decode(body)
        except ValueError as error:
            raise ParseError(f"This is not JSON: {error}") from None
