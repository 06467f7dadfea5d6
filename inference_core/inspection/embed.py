"""Weights that lie beside an ONNX file, brought into it: one file is what is shipped and signed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

import onnx

from inference_core.inspection.problem import MAX_MODEL_BYTES, RefusedError
from inference_core.inspection.reader import parse, read_bytes, stored_tensors


def embed_weights(path: Path) -> bytes:
    """The model at ``path`` as one file.

    Only files that lie in its own folder are opened, and no links: what a graph names elsewhere
    is refused, and so is what is not there, or is larger than a model may be. Raises
    ``RefusedError``, and ``OSError`` for a model that cannot be read.
    """
    model = parse(read_bytes(path), is_whole=False)
    room = MAX_MODEL_BYTES
    for tensor in stored_tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        data = _read_weights(path.parent, tensor, room)
        room -= len(data)
        tensor.raw_data = data
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    return bytes(model.SerializeToString())


def _read_weights(folder: Path, tensor: onnx.TensorProto, room: int) -> bytes:
    told = {entry.key: entry.value for entry in tensor.external_data}
    name = told.get("location", "")
    if not name or Path(name).name != name or name in (".", ".."):
        raise _outside(tensor, f"in {name[:100]!r}, which is not a file beside the model")
    offset, length = _read_place(tensor, told)
    with _open_beside(tensor, folder / name) as file:
        size = os.fstat(file.fileno()).st_size
        wanted = size - offset if length is None else length
        if wanted < 0 or offset + wanted > size:
            raise _outside(tensor, f"past the end of {name!r}; the file is cut short")
        if wanted > room:
            raise RefusedError("too_large", f"the weights are more than {MAX_MODEL_BYTES} bytes")
        file.seek(offset)
        return file.read(wanted)


def _open_beside(tensor: onnx.TensorProto, path: Path) -> BinaryIO:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        where = f"in {path.name!r}, which cannot be read: {error.strerror}"
        raise _outside(tensor, where) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _outside(tensor, f"in {path.name!r}, which is no file")
    return os.fdopen(handle, "rb")


def _read_place(tensor: onnx.TensorProto, told: dict[str, str]) -> tuple[int, int | None]:
    """Offset and length in bytes; None is to the end of the file."""
    offset, length = told.get("offset", "0"), told.get("length")
    if not (_is_count(offset) and (length is None or _is_count(length))):
        raise _outside(tensor, "at a place that is no number")
    return int(offset), None if length is None else int(length)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _outside(tensor: onnx.TensorProto, where: str) -> RefusedError:
    return RefusedError("external_data", f"weights of {tensor.name!r} lie {where}")
