"""From foreign JSON to a contract message, or to a problem that says where it is wrong."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from inference_core.contract.base import Message
from server.lib.errors import Invalid

M = TypeVar("M", bound=BaseModel)
_MAX_ERRORS = 10
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def read_json(model: type[M], body: bytes | str) -> M:
    """Parse JSON text; raises Invalid, also for text that is nested too deeply to be read."""
    try:
        return _storable(model.model_validate_json(body))
    except ValidationError as error:
        raise invalid(error, model) from None


def read_data(model: type[M], data: Any) -> M:
    """Parse JSON that is decoded already, with JSON's rules for what a type may be."""
    try:
        return _storable(model.model_validate(data))
    except ValidationError as error:
        raise invalid(error, model) from None


def invalid(error: ValidationError, model: type[BaseModel]) -> Invalid:
    """The problem document's form of a pydantic error; never echoes the input."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    errors = [
        {"path": ".".join(map(str, item["loc"])), "detail": item["msg"]}
        for item in found[:_MAX_ERRORS]
    ]
    first = f"{errors[0]['path']}: {errors[0]['detail']}" if errors[0]["path"] else ""
    return Invalid(
        f"This is no {model.__name__}: {first or errors[0]['detail']}.",
        errors=errors,
    )


def _storable(message: M) -> M:
    if isinstance(message, Message) and holds_nul(message):
        raise Invalid("A text holds the character U+0000, which cannot be stored.")
    return message


def holds_nul(message: Message) -> bool:
    """Whether some text of ``message`` holds U+0000, which PostgreSQL cannot store."""
    return _NUL.search(message.to_json()) is not None
