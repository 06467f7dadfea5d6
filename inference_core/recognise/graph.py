"""What an ONNX file says of itself: tensors, metadata, operators. Nothing in it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from inference_core.contract.build import TensorFacts
from inference_core.errors import BadInput
from inference_core.inspection.problem import RefusedError
from inference_core.inspection.reader import parse, read_bytes
from inference_core.inspection.tensors import facts_of, fix_shape, true_inputs


@dataclass(frozen=True)
class Graph:
    """A parsed ONNX file. All text in it is foreign."""

    name: str
    """Of the file."""
    producer: str
    metadata: Mapping[str, str]
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    model: onnx.ModelProto = field(repr=False)

    def outputs_for(self, input_shape: Sequence[int]) -> tuple[TensorFacts, ...]:
        """The outputs when the input has this shape; what cannot be told stays open.

        Raises ``BadInput`` where the graph does not take such an input.
        """
        fixed = onnx.ModelProto()
        fixed.CopyFrom(self.model)
        fix_shape(true_inputs(fixed)[0], input_shape)
        try:
            inferred = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
        except Exception as error:  # onnx raises of every kind on damaged graphs
            shape = "×".join(map(str, input_shape))
            first = str(error).strip().partition("\n")[0][:200]
            raise BadInput(f"{self.name} does not take an input of {shape}: {first}") from error
        return facts_of(inferred.graph.output)


def read_graph(path: Path) -> Graph:
    """Parses the file. Raises ``BadInput`` for what is no whole ONNX model."""
    try:
        model = parse(read_bytes(path))
    except RefusedError as refused:
        raise BadInput(f"{path.name}: {refused}") from refused
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    return Graph(
        name=path.name,
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        inputs=facts_of(true_inputs(model)),
        outputs=facts_of(model.graph.output),
        model=model,
    )
