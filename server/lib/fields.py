"""Fields that serializers of several apps share."""

from __future__ import annotations

from collections.abc import Mapping
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


class Body(serializers.Serializer[Any]):
    """What a request says. An unknown field is an error, most likely a typing mistake."""

    def to_internal_value(self, data: Any) -> Any:
        """The fields; ValidationError by name for one that there is none of."""
        if isinstance(data, Mapping) and (unknown := sorted(set(data) - set(self.fields))):
            known = ", ".join(self.fields)
            raise serializers.ValidationError(
                {unknown[0][:100]: [f"There is no such field; there are: {known}."]}, "unknown"
            )
        return super().to_internal_value(data)
