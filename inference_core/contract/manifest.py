"""ModelManifest: all that a runtime and a decoder must know of one model.

It lies beside the ONNX and is pinned with it: the same bytes with another manifest are
another ModelVersion.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from inference_core.contract.base import Document, added
from inference_core.contract.decoders import DECODERS_OF_TASK, Decoder
from inference_core.contract.words import Task

Extent = Annotated[int, Field(ge=1, le=2**24)]
MAX_INPUT_SIDE = 8192


class TensorSpec(Document):
    """One input or output of the graph, with the shape that Linewarden builds it for.

    None is a side that is known only after a run, for example the number of boxes; outputs only.
    """

    name: str = Field(min_length=1, max_length=200)
    shape: tuple[Extent | None, ...] = Field(max_length=8)
    dtype: Literal["float32", "float16", "uint8", "int8", "int32", "int64"] = "float32"

    @property
    def fixed_shape(self) -> tuple[int, ...]:
        """The shape with 1 for every side that is known only after a run."""
        return tuple(side or 1 for side in self.shape)


class Preprocess(Document):
    """From a BGR uint8 picture to the input tensor: ``(pixel * scale - mean) / std``.

    The target size is the input tensor's. ``stretch`` fills it, ``letterbox`` keeps the aspect
    ratio and centres, ``pad_right`` keeps the aspect ratio of the height and pads to the right
    (text recognisers), ``pad_corner`` keeps the aspect ratio and pads to the right and below,
    ``crop`` fills it with the middle of the picture: ``crop_share`` of the shorter side.
    """

    colour: Literal["rgb", "bgr", "gray"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    resize: Literal["stretch", "letterbox", "pad_right", "pad_corner", "crop"] = "stretch"
    interpolation: Literal["linear", "area", "cubic", "nearest"] = "linear"
    crop_share: float = added(1.0, gt=0, le=1)
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
        known = {spec.name for spec in self.outputs}
        if absent := [name for name in self.decoder.reads if name not in known]:
            raise ValueError(f"decoder reads {absent[0]!r}, which is not an output")
        shape = self.inputs[0].shape
        if len(shape) != 4:
            raise ValueError("the input must have four dimensions: batch, and a picture")
        if not all(side and side <= MAX_INPUT_SIDE for side in shape):
            raise ValueError(f"every side of the input must be given, at most {MAX_INPUT_SIDE}")
        return self

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height in pixels of the picture that the input tensor takes."""
        shape = self.inputs[0].fixed_shape
        height, width = shape[2:4] if self.preprocess.layout == "nchw" else shape[1:3]
        return width, height
