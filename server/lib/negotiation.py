"""What kind of answer a caller gets."""

from __future__ import annotations

from collections.abc import Sequence

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class OneKind(DefaultContentNegotiation):
    """JSON, a problem document or the file itself, whatever the caller would rather have.

    RFC 9110 allows it (12.4.1), and ``Accept: image/jpeg`` gets its picture.
    """

    def select_renderer(
        self, request: Request, renderers: Sequence[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The renderer that suits, or else the first."""
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except NotAcceptable:
            return renderers[0], str(renderers[0].media_type)
