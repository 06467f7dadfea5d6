"""Views that take a file: refused by its announced length, before a byte of it is read."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.views import APIView

from server.lib.errors import TooLarge

FORM_BYTES = 8 * 1024 * 1024
"""What the other fields of the form, and its boundaries, may add to the file."""


class UploadView(APIView):
    """Takes multipart forms of at most ``max_file_bytes`` and the form around it; else 413.

    The length is what the request announces; the WSGI server gives no more than that.
    """

    parser_classes = (MultiPartParser,)
    max_file_bytes: ClassVar[int]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Judge the length before anything reads the form; DRF's own checks come after it."""
        announced = request.META.get("CONTENT_LENGTH") or ""
        limit = self.max_file_bytes
        # Django reads nothing where the length is no number.
        if announced.isdecimal() and int(announced) > limit + FORM_BYTES:
            raise TooLarge(
                f"The request has {announced} bytes; files of at most {limit} bytes are taken.",
                max_bytes=limit,
            )
        super().initial(request, *args, **kwargs)
