"""What an ONNX file says of itself: tensors, metadata, operators. Nothing in it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from inference_core.contract.build import TensorFacts
from inference_core.errors import BadInput
from inference_core.inspection.problem import RefusedError
from inference_core.inspection.reader import parse, read_bytes
from inference_core.inspection.tensors import clean, facts_of, fix_shape, true_inputs
from inference_core.recognise.draft import Gap

_SIZE_GAP = Gap("the input's size", "a number of pixels")
_COLOURS = (1, 3)


@dataclass(frozen=True)
class Graph:
    """A parsed ONNX file. All text in it is foreign."""

    path: Path
    producer: str
    """Tool and version, and the name that it gave the graph."""
    metadata: Mapping[str, str]
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    model: onnx.ModelProto = field(repr=False)

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.name

    def outputs_for(self, picture: PictureInput) -> dict[str, TensorFacts]:
        """By name, when the input has this shape; what cannot be told stays open.

        Raises ``BadInput`` where the graph does not take such an input.
        """
        shape = picture.shape
        sizes = [side for side in shape if isinstance(side, int)]
        if len(sizes) < len(shape):
            return {facts.name: facts for facts in self.outputs}
        fixed = onnx.ModelProto()
        fixed.CopyFrom(self.model)
        fix_shape(true_inputs(fixed)[0], sizes)
        try:
            inferred = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
        except Exception as error:  # onnx raises of every kind on damaged graphs
            first = str(error).strip().partition("\n")[0][:200]
            size = "×".join(map(str, shape))
            raise BadInput(f"{self.name} does not take an input of {size}: {first}") from error
        return {facts.name: facts for facts in facts_of(inferred.graph.output)}

    def maker_of(self, output: str) -> str:
        """The operator that makes an output; empty where none does."""
        nodes = (node for node in self.model.graph.node if output in node.output)
        return next((str(node.op_type) for node in nodes), "")


@dataclass(frozen=True)
class PictureInput:
    """The one input, read as a picture; a side that the graph leaves open may be a ``Gap``."""

    name: str
    dtype: str
    layout: str
    channels: int
    sides: tuple[int | Gap, int | Gap]
    """Height and width."""

    @property
    def shape(self) -> tuple[int | Gap, ...]:
        """With a batch of one."""
        if self.layout == "nchw":
            return (1, self.channels, *self.sides)
        return (1, *self.sides, self.channels)

    def to_spec(self) -> dict[str, Any]:
        """The ``TensorSpec``."""
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}


def read_graph(path: Path) -> Graph:
    """Parses the file. Raises ``BadInput`` for what is no whole ONNX model."""
    try:
        model = parse(read_bytes(path))
    except RefusedError as refused:
        raise BadInput(f"{path.name}: {refused}") from refused
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    told = f"{model.producer_name} {model.producer_version} {model.graph.name}"
    return Graph(
        path=path,
        producer=clean(" ".join(told.split()), 200),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        inputs=facts_of(true_inputs(model)),
        outputs=facts_of(model.graph.output),
        model=model,
    )


def read_picture_input(graph: Graph, default: tuple[int, int] | None = None) -> PictureInput:
    """The one picture that the graph takes; ``default`` is a height and width for open sides.

    Raises ``BadInput`` where there is no such input.
    """
    if len(graph.inputs) != 1:
        names = ", ".join(facts.name for facts in graph.inputs)
        raise BadInput(
            f"{graph.name} has {len(graph.inputs)} inputs ({names}); only models of one picture run"
        )
    facts = graph.inputs[0]
    if len(facts.shape) != 4:
        raise BadInput(
            f"{graph.name} takes {_show(facts.shape)}; export it with a batch of pictures, 1×3×H×W"
        )
    if facts.shape[0] not in (None, 1):
        raise BadInput(
            f"{graph.name} was exported for batches of {facts.shape[0]}; export it for one picture"
        )
    layout = "nhwc" if facts.shape[3] in _COLOURS and facts.shape[1] not in _COLOURS else "nchw"
    channels, sides = _split(facts.shape, layout)
    if channels not in (None, *_COLOURS):
        raise BadInput(f"{graph.name} takes {channels} channels; pictures have 1 or 3")
    heights = tuple(
        side or (default[axis] if default else _SIZE_GAP) for axis, side in enumerate(sides)
    )
    return PictureInput(facts.name, facts.dtype, layout, channels or 3, (heights[0], heights[1]))


def to_specs(outputs: Mapping[str, TensorFacts], names: Sequence[str]) -> list[dict[str, Any]]:
    """The ``TensorSpec`` of each named output."""
    chosen = (outputs[name] for name in names)
    return [{"name": f.name, "shape": list(f.shape), "dtype": f.dtype} for f in chosen]


def _split(
    shape: tuple[int | None, ...], layout: str
) -> tuple[int | None, tuple[int | None, int | None]]:
    if layout == "nchw":
        return shape[1], (shape[2], shape[3])
    return shape[3], (shape[1], shape[2])


def _show(shape: Sequence[int | None]) -> str:
    return "×".join("?" if side is None else str(side) for side in shape) or "a number"
