"""A Triton model repository: what the server may batch is read from the graph, never assumed."""

from __future__ import annotations

import onnx

from inference_core.contract.decoders import ClassifyDecoder
from inference_core.contract.manifest import TensorSpec
from inference_core.errors import BadInput
from inference_core.export.base import Export, Origin, list_labels
from inference_core.export.pbtxt import Message, Symbol, Value, render

MAX_BATCH = 8
_TYPES = {
    "float32": "TYPE_FP32",
    "float16": "TYPE_FP16",
    "uint8": "TYPE_UINT8",
    "int8": "TYPE_INT8",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
}
_LABELS = "labels.txt"


def export_triton(origin: Origin, instances: int = 1) -> Export:
    """Makes ``config.pbtxt``, ``1/model.onnx`` or ``1/model.plan``, labels, all under the name."""
    batch = _find_max_batch(origin)
    files = {
        "config.pbtxt": render(_configure(origin, batch, instances)).encode(),
        f"1/{_model_file(origin)}": origin.plan or _serialise(origin),
        "manifest.json": origin.manifest.to_json(),
    }
    if labels := list_labels(origin.manifest):
        files[_LABELS] = ("\n".join(labels) + "\n").encode()
    return Export({f"{origin.name}/{path}": data for path, data in files.items()}, _notes(origin))


def _configure(origin: Origin, batch: int, instances: int) -> Message:
    manifest = origin.manifest
    kind = Symbol("KIND_GPU" if origin.engine else "KIND_AUTO")
    config: dict[str, Value] = {
        "name": origin.name,
        "platform": "tensorrt_plan" if origin.engine else "onnxruntime_onnx",
        "backend": "tensorrt" if origin.engine else "onnxruntime",
        "max_batch_size": batch,
        "input": [_describe(spec, batch) for spec in manifest.inputs],
        "output": [_describe_output(origin, spec, batch) for spec in manifest.outputs],
        "instance_group": [{"count": instances, "kind": kind}],
    }
    return {**config, "dynamic_batching": {}} if batch else config


def _describe(spec: TensorSpec, batch: int) -> dict[str, Value]:
    """Without the batch where Triton adds it; a scalar is a shape of its own to Triton."""
    sides = [-1 if side is None else side for side in spec.shape[1 if batch else 0 :]]
    kind = Symbol(_TYPES[spec.dtype])
    described: dict[str, Value] = {"name": spec.name, "data_type": kind, "dims": sides or [1]}
    return described if sides else {**described, "reshape": {"shape": []}}


def _describe_output(origin: Origin, spec: TensorSpec, batch: int) -> dict[str, Value]:
    described = _describe(spec, batch)
    decoder = origin.manifest.decoder
    # Triton's classification extension reads labels for scores alone.
    if isinstance(decoder, ClassifyDecoder) and decoder.output == spec.name:
        return {**described, "label_filename": _LABELS}
    return described


def _find_max_batch(origin: Origin) -> int:
    """0 unless the first side of every tensor is open: only then may Triton choose it."""
    if origin.engine is not None:
        opens = [each.facts.shape[:1] for each in origin.engine.inputs]
        opens += [each.shape[:1] for each in origin.engine.outputs]
        largest = min((each.maximum[0] for each in origin.engine.inputs if each.maximum), default=0)
        return largest if all(side == (None,) for side in opens) else 0
    if origin.graph is None:
        raise BadInput("there is neither a graph nor an engine to export")
    graph = origin.graph.graph
    constants = {tensor.name for tensor in graph.initializer}
    fed = [value for value in graph.input if value.name not in constants]
    named = {spec.name for spec in origin.manifest.outputs}
    read = [value for value in graph.output if value.name in named]
    return MAX_BATCH if all(_has_open_batch(value) for value in (*fed, *read)) else 0


def _has_open_batch(value: onnx.ValueInfoProto) -> bool:
    sides = value.type.tensor_type.shape.dim
    return bool(sides) and not sides[0].HasField("dim_value")


def _model_file(origin: Origin) -> str:
    return "model.plan" if origin.engine else "model.onnx"


def _serialise(origin: Origin) -> bytes:
    return origin.graph.SerializeToString() if origin.graph else b""


def _notes(origin: Origin) -> tuple[str, ...]:
    width, height = origin.manifest.input_size
    client = (
        f"Triton moves tensors: the client makes pictures into the {width}×{height} input, and "
        "reads the outputs, as manifest.json says."
    )
    if origin.engine is None:
        return (client,)
    targets = " or ".join(origin.engine.compute_capabilities)
    plan = (
        f"The plan loads in TensorRT {origin.engine.version} on compute capability {targets} only; "
        "take the Triton container with that version."
    )
    return client, plan
