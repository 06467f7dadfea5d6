"""ModelManifest: all that a runtime and a decoder must know of one model.

It lies beside the ONNX and is pinned with it: the same bytes with another manifest are
another ModelVersion.
"""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field, model_validator

from inference_core.contract.base import Document, Slug
from inference_core.contract.words import Task

Side = Annotated[int, Field(ge=1, le=8192)]


class TensorSpec(Document):
    """One input or output of the graph, with the shape that Linewarden builds it for."""

    name: str = Field(min_length=1, max_length=200)
    shape: tuple[Side, ...] = Field(max_length=8)
    dtype: Literal["float32", "float16", "uint8", "int8", "int32", "int64"] = "float32"


class Preprocess(Document):
    """From a BGR uint8 picture to the input tensor: ``(pixel * scale - mean) / std``.

    The target size is the input tensor's. ``stretch`` fills it, ``letterbox`` keeps the aspect
    ratio and centres, ``pad_right`` keeps the aspect ratio of the height and pads to the right
    (text recognisers).
    """

    colour: Literal["rgb", "bgr", "gray"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    resize: Literal["stretch", "letterbox", "pad_right"] = "stretch"
    interpolation: Literal["linear", "area", "cubic", "nearest"] = "linear"
    pad_value: float = Field(default=0.0, ge=0, le=255)
    scale: float = Field(default=1 / 255, gt=0)
    mean: tuple[float, ...] = Field(default=(0.0,), max_length=4)
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(1.0,), max_length=4)
    lighting: Literal["none", "gray_world", "clahe"] = "none"

    @model_validator(mode="after")
    def _channels_agree(self) -> Preprocess:
        channels = 1 if self.colour == "gray" else 3
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                raise ValueError(f"{name} has {len(values)} values; give 1 or {channels}")
        return self


class SegmentDecoder(Document):
    """Per-pixel class scores 1×C×H×W to connected regions, measured in the input's pixels."""

    kind: Literal["segment"] = "segment"
    output: str
    labels: tuple[Slug, ...] = Field(min_length=2, max_length=1000)
    background: int = Field(default=0, ge=0)
    activation: Literal["none", "softmax"] = "softmax"
    threshold: float = Field(default=0.5, ge=0, le=1)
    min_area_px: int = Field(default=1, ge=1)


class CtcDecoder(Document):
    """Greedy CTC over 1×T×K scores: best path, repeats merged, blanks dropped (Graves 2006)."""

    kind: Literal["ctc"] = "ctc"
    output: str
    alphabet: tuple[str, ...] | None = Field(
        default=None,
        max_length=50_000,
        description="One string per class after the blank; None reads `alphabet_key` of the model.",
    )
    alphabet_key: str | None = Field(
        default=None, description="Key of the ONNX metadata that holds the alphabet, one a line."
    )
    blank: int = Field(default=0, ge=0)
    space_at_end: bool = Field(
        default=False, description="The last class is a space that the alphabet leaves out."
    )
    activation: Literal["none", "softmax"] = "none"

    @model_validator(mode="after")
    def _has_an_alphabet(self) -> CtcDecoder:
        if (self.alphabet is None) == (self.alphabet_key is None):
            raise ValueError("give either alphabet or alphabet_key")
        return self


Decoder = Annotated[Union[SegmentDecoder, CtcDecoder], Field(discriminator="kind")]

DECODERS_OF_TASK: dict[Task, frozenset[str]] = {
    Task.SEGMENTATION: frozenset({"segment"}),
    Task.TEXT_RECOGNITION: frozenset({"ctc"}),
}


class ModelManifest(Document):
    """What a model is, how to feed it and how to read it."""

    schema_version: Literal[1] = 1
    task: Task
    inputs: tuple[TensorSpec, ...] = Field(min_length=1, max_length=1)
    outputs: tuple[TensorSpec, ...] = Field(min_length=1, max_length=16)
    preprocess: Preprocess = Preprocess()
    decoder: Decoder
    licence: str = Field(min_length=1, max_length=200, description="SPDX expression.")
    source: str = Field(default="", max_length=2000, description="Where the model comes from.")
    metrics: dict[str, float] = Field(default_factory=dict, description="As its author reports.")

    @model_validator(mode="after")
    def _parts_agree(self) -> ModelManifest:
        if self.decoder.kind not in DECODERS_OF_TASK.get(self.task, frozenset()):
            raise ValueError(f"decoder {self.decoder.kind!r} does not serve task {self.task}")
        if self.decoder.output not in {spec.name for spec in self.outputs}:
            raise ValueError(f"decoder reads {self.decoder.output!r}, which is not an output")
        if len(self.inputs[0].shape) != 4:
            raise ValueError("the input must have four dimensions: batch, and a picture")
        return self

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height in pixels of the picture that the input tensor takes."""
        shape = self.inputs[0].shape
        height, width = shape[2:4] if self.preprocess.layout == "nchw" else shape[1:3]
        return width, height
