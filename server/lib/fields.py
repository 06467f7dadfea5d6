"""Fields that serializers of several apps share."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

SLUG_PATTERN = r"^[a-z0-9]+(?:[-._][a-z0-9]+)*$"
"""The contract's ``Slug``."""


class NameField(serializers.RegexField):
    """A name that is safe in an address, a file name and a TUF path."""

    default_error_messages = {
        "invalid": "Use lower-case letters and digits, with single . _ or - between them."
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(SLUG_PATTERN, **{"max_length": 100, **options})
