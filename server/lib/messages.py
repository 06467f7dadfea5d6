"""From foreign JSON to a contract message, or to a problem that says where it is wrong."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from server.lib import documents
from server.lib.errors import Invalid

M = TypeVar("M", bound=BaseModel)
_MAX_ERRORS = 10


def read_json(model: type[M], body: bytes | str) -> M:
    """Parse JSON text; raises Invalid, also for text that is nested too deeply to be read."""
    try:
        document = documents.decode(body)
    except ValueError as error:
        detail = f"it is no JSON: {error}"
        raise Invalid(
            f"This is no {model.__name__}: {detail}.", errors=[{"path": "", "detail": detail}]
        ) from None
    return read_data(model, document)


def read_data(model: type[M], data: Any) -> M:
    """Parse JSON that is decoded already, with JSON's rules for what a type may be."""
    documents.require_storable(data)
    try:
        return model.model_validate(data)
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
