"""Foreign text to values: JSON or Python literals, bounded, and never evaluated."""

from __future__ import annotations

import ast
import json
from typing import Any

from inference_core.errors import BadInput

_MAX_CHARACTERS = 1_000_000
_MAX_LABELS = 25_000


def parse_literal(text: str, key: str) -> Any:
    """A JSON document, or what Python's ``str()`` wrote of a dict, list, number or text.

    Raises ``BadInput`` for anything else.
    """
    if len(text) > _MAX_CHARACTERS:
        raise BadInput(f"the metadata {key!r} has {len(text)} characters, over {_MAX_CHARACTERS}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # not JSON: then Python's spelling, or neither
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise BadInput(f"the metadata {key!r} is no literal: {text[:60]!r}") from error


def read_names(names: Any, key: str) -> list[str]:
    """Labels from a list, or from a dict whose keys are 0, 1, 2… Raises ``BadInput``."""
    if isinstance(names, dict):
        names = _read_mapping(names, key)
    if not isinstance(names, list) or not 0 < len(names) <= _MAX_LABELS:
        raise BadInput(f"the metadata {key!r} does not name 1 to {_MAX_LABELS} classes")
    return [" ".join(str(name).split())[:100] for name in names]


def read_size(size: Any, key: str) -> tuple[int, int]:
    """Height and width from one number or two. Raises ``BadInput``."""
    sides = [size, size] if isinstance(size, int) else size
    if not isinstance(sides, (list, tuple)) or len(sides) != 2:
        raise BadInput(f"the metadata {key!r} is no size: {str(size)[:60]!r}")
    if not all(isinstance(side, int) and 0 < side <= 2**14 for side in sides):
        raise BadInput(f"the metadata {key!r} is no size in pixels: {str(size)[:60]!r}")
    return sides[0], sides[1]


def _read_mapping(names: dict[Any, Any], key: str) -> list[Any]:
    try:
        by_number = {int(number): name for number, name in names.items()}
    except (TypeError, ValueError) as error:
        raise BadInput(f"the metadata {key!r} does not number its classes") from error
    if sorted(by_number) != list(range(len(by_number))):
        raise BadInput(f"the metadata {key!r} leaves out classes between 0 and {max(by_number)}")
    return [by_number[number] for number in range(len(by_number))]
