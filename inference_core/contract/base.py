"""What every contract message shares."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A lower-case SHA-256 hex digest; bytes are named by it everywhere."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(?:[-._][a-z0-9]+)*$", max_length=100)]
"""A name that is safe in a URL, a file name and a TUF target path: no slash, no leading dot."""


class Message(BaseModel):
    """An immutable message. Unknown fields are ignored, so that one side may be newer."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")

    def to_json(self) -> bytes:
        """Compact UTF-8 JSON with fields in the order of their definition: stable to digest."""
        return self.model_dump_json(exclude_none=True).encode()


def added(default: Any, **constraints: Any) -> Any:
    """A field that a message has not always had: written only where it is not the default.

    Older readers refuse what they do not know in a document, and digests of stored manifests
    must not change because a later version knows more.
    """
    return Field(default=default, exclude_if=lambda value: value == default, **constraints)


class Document(Message):
    """A message that a person writes: an unknown field is most likely a typing mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")
