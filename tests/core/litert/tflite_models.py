"""Small TFLite files, written operator by operator with the schema that comes with LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from inference_core.optimize.tflite_seal import seal
from inference_core.runtimes.litert_notes import Notes, TensorNote
from inference_core.runtimes.litert_probe import EDGE_TPU_OPERATOR

FILE_SHAPE = (1, 6, 8, 3)
"""NHWC, of the 1×3×6×8 that ``core_models.segmenter`` describes."""

TO_FILE = (0, 2, 3, 1)


def doubler(
    shape: tuple[int, ...] = FILE_SHAPE,
    *,
    dtype: int = schema.TensorType.FLOAT32,
    scale: float | None = None,
    zero_point: int = 0,
    names: tuple[str, str] = ("image", "logits"),
    open_axes: tuple[int, ...] = (),
) -> bytes:
    """One ADD: the second tensor is twice the first."""
    model = _model(shape, dtype, names)
    for factor, tensor in zip((1, 2), model.subgraphs[0].tensors, strict=True):
        if scale is not None:
            tensor.quantization = _quantisation(scale * factor, zero_point)
        if open_axes:
            tensor.shapeSignature = [-1 if i in open_axes else n for i, n in enumerate(shape)]
    return pack(model)


def edge_tpu_model() -> bytes:
    """What ``edgetpu_compiler`` writes, as far as a machine without the delegate can see it."""
    model = _model(FILE_SHAPE, schema.TensorType.INT8, ("image", "logits"))
    code, operator = model.operatorCodes[0], model.subgraphs[0].operators[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = EDGE_TPU_OPERATOR
    operator.inputs = [0]
    operator.builtinOptions, operator.builtinOptionsType = None, 0
    for tensor in model.subgraphs[0].tensors:
        tensor.quantization = _quantisation(0.1, 0)
    return pack(model)


def noted(data: bytes, image: str = "image", logits: str = "logits") -> bytes:
    """As the builder leaves it: NHWC in the file, NCHW outside."""
    return seal(
        data,
        Notes(
            inputs=(TensorNote(name=image, axes=TO_FILE),),
            outputs=(TensorNote(name=logits, axes=TO_FILE),),
            metadata={"author": "tests"},
        ),
    )


def pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpack(data: bytes) -> Any:
    return schema.ModelT.InitFromPackedBuf(data, 0)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _model(shape: tuple[int, ...], dtype: int, names: tuple[str, str]) -> Any:
    model = schema.ModelT()
    model.version, model.description = 3, "linewarden tests"
    model.buffers = [schema.BufferT()]
    model.operatorCodes = [_code()]
    model.subgraphs = [_graph(shape, dtype, names)]
    model.signatureDefs, model.metadata = [], []
    return model


def _code() -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 2
    return code


def _graph(shape: tuple[int, ...], dtype: int, names: tuple[str, str]) -> Any:
    graph = schema.SubGraphT()
    graph.name = "main"
    graph.tensors = [_tensor(shape, dtype, name) for name in names]
    graph.inputs, graph.outputs = [0], [1]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 0], [1]
    operator.builtinOptionsType = schema.BuiltinOptions.AddOptions
    operator.builtinOptions = schema.AddOptionsT()
    graph.operators = [operator]
    return graph


def _tensor(shape: tuple[int, ...], dtype: int, name: str) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), dtype, 0
    return tensor


def _quantisation(scale: float, zero_point: int) -> Any:
    parameters = schema.QuantizationParametersT()
    parameters.scale = np.array([scale], np.float32)
    parameters.zeroPoint = np.array([zero_point], np.int64)
    return parameters
