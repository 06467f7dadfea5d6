"""What a builder raises when one candidate cannot be made."""

from __future__ import annotations

from inference_core.errors import CoreError


class ConversionFailed(CoreError):
    """This precision cannot be made for this runtime; others still may."""
