"""What exporters and people put beside a model: label lists and configurations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inference_core.errors import BadInput

_LABEL_FILES = ("{stem}.labels.txt", "labels.txt", "classes.txt", "class_names.txt")
_MAX_BYTES = 4 * 1024 * 1024


def read_labels(model: Path) -> list[str] | None:
    """One label a line; None where there is no such file. Raises ``BadInput`` for a broken one."""
    for pattern in _LABEL_FILES:
        path = model.with_name(pattern.format(stem=model.stem))
        if path.is_file():
            lines = _read_text(path).rstrip("\n").split("\n")
            return [line.strip()[:100] for line in lines]
    return None


def read_json(model: Path, name: str) -> dict[str, Any] | None:
    """The JSON object called ``name`` in the model's folder or the one above; None for no file."""
    for folder in (model.parent, model.resolve().parent.parent):
        path = folder / name
        if path.is_file():
            return _parse(path)
    return None


def _parse(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadInput(f"{path} is no JSON object")
    return document


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadInput(f"{path} is larger than {_MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no UTF-8 text") from error
