"""Files that appear whole or not at all, and documents that people write."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from inference_core.errors import BadInput

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

Model = TypeVar("Model", bound=BaseModel)


def write_atomically(path: Path, data: bytes) -> None:
    """A reader of ``path`` sees all of ``data`` or nothing. A power cut may lose it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def read_document(path: Path, kind: type[Model]) -> Model:
    """A YAML file, or a ``.json`` file, as a contract message. Raises ``BadInput``."""
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise BadInput(f"{path} is larger than {MAX_DOCUMENT_BYTES} bytes")
        if path.suffix == ".json":
            return kind.model_validate_json(path.read_bytes())
        return kind.model_validate(yaml.safe_load(path.read_bytes()))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is no YAML: {error}") from error
    except ValidationError as error:
        raise BadInput(f"{path} is no {kind.__name__}: {_summarise(error)}") from error


def _summarise(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the document"
    others = error.error_count() - 1
    return f"{place}: {first['msg']}" + (f" (and {others} more)" if others else "")
