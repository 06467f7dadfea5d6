"""What Linewarden writes into a TFLite file: how its tensors lie beside those of the ONNX.

TFLite pictures are NHWC, the manifest's are mostly NCHW. Which axis is which cannot be told from
a shape with equal sides, so the builder proves it once and the file carries the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from inference_core.contract.base import Message
from inference_core.errors import LoadFailed

NOTES_KEY = "linewarden"
"""Name of the entry in the model's metadata table; its buffer is the JSON of ``Notes``."""

SIGNATURE_KEY = "serving_default"

_MAX_NOTES_BYTES = 4 * 1024 * 1024

Axis = Annotated[int, Field(ge=0, le=7)]


class TensorNote(Message):
    """``tensor_of_file = tensor_of_manifest.transpose(axes)``."""

    name: str = Field(max_length=200)
    axes: tuple[Axis, ...] = Field(max_length=8)

    def is_permutation(self) -> bool:
        """Whether each axis comes once."""
        return sorted(self.axes) == list(range(len(self.axes)))


class Notes(Message):
    """Inputs and outputs in the order of the graph, and what the ONNX said of itself."""

    schema_version: Literal[1] = 1
    inputs: tuple[TensorNote, ...] = Field(max_length=16)
    outputs: tuple[TensorNote, ...] = Field(max_length=64)
    toolchain: dict[str, str] = Field(default_factory=dict, max_length=20)
    metadata: dict[str, str] = Field(default_factory=dict, max_length=1000)


def read_notes(data: bytes) -> Notes | None:
    """The notes in a TFLite file; None in one that another tool made.

    Raises ``LoadFailed`` for notes that are there and broken. ``data`` must have been verified.
    """
    raw = _read_metadata(data).get(NOTES_KEY)
    if raw is None:
        return None
    try:
        notes = Notes.model_validate_json(raw[:_MAX_NOTES_BYTES])
    except ValidationError as error:
        raise LoadFailed(f"its notes on tensors are broken: {error}") from error
    broken = [note.name for note in (*notes.inputs, *notes.outputs) if not note.is_permutation()]
    if broken:
        raise LoadFailed(f"its note on the tensor {broken[0]!r} gives no order of axes")
    return notes


def _read_metadata(data: bytes) -> Mapping[str, bytes]:
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.Model.GetRootAs(data, 0)
        entries = (model.Metadata(index) for index in range(model.MetadataLength()))
        return {entry.Name().decode(): _read_buffer(model, entry.Buffer()) for entry in entries}
    except Exception as error:  # generated code meets foreign bytes: any of struct's and Python's
        raise LoadFailed(f"its table of metadata cannot be read: {error}") from error


def _read_buffer(model: Any, index: int) -> bytes:
    content = model.Buffers(index)
    return b"" if content.DataIsNone() else content.DataAsNumpy().tobytes()
