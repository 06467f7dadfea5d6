"""Converts ONNX to TFLite and changes its arithmetic: a script for the converter's interpreter.

That environment holds onnx2tf and ai-edge-quantizer, whose pins fit no other; nothing of ours is
installed there, so this file imports nothing of ours. It is started by ``tflite_convert``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NEEDS = {"onnx2tf": "onnx2tf", "ai_edge_quantizer": "ai-edge-quantizer"}
MISSING = 3
"""Exit code where the environment lacks a package."""
VERSIONS = "versions"
"""The job that converts nothing, and says on standard output what would convert."""


def main(job: str, folder: Path) -> int:
    """Do ``convert``, ``fp16`` or ``int8`` with the files of ``folder``; 0 where it worked."""
    missing = [distribution for module, distribution in NEEDS.items() if find_spec(module) is None]
    if missing:
        print(f"it lacks {' and '.join(missing)}", file=sys.stderr)
        return MISSING
    versions = read_versions()
    (folder / "versions.json").write_text(json.dumps(versions), encoding="utf-8")
    if job == "convert":
        _convert(folder)
    else:
        _change_arithmetic(folder, job)
    return 0


def read_versions() -> dict[str, str]:
    """Of what shapes a file; PackageNotFoundError where one is not there."""
    return {name: version(name) for name in (*NEEDS.values(), "ai-edge-litert")}


def _convert(folder: Path) -> None:
    import onnx2tf

    onnx2tf.convert(
        input_onnx_file_path=str(folder / "model.onnx"),
        output_folder_path=str(folder / "converted"),
        tflite_backend="flatbuffer_direct",
        non_verbose=True,
    )
    data = (folder / "converted" / "model_float32.tflite").read_bytes()
    (folder / "float.tflite").write_bytes(_make_pad_values_scalar(data))


def _make_pad_values_scalar(data: bytes) -> bytes:
    """PADV2 takes a scalar; onnx2tf writes a vector of one, which the quantiser cannot quantise."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            if code == schema.BuiltinOperator.PADV2:
                graph.tensors[operator.inputs[2]].shape = []
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Pictures:
    """Calibration inputs, one in memory at a time."""

    def __init__(self, folder: Path, tensor: str) -> None:
        self._files = sorted(folder.glob("*.npy"))
        self._tensor = tensor

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        import numpy as np

        return ({self._tensor: np.load(file, allow_pickle=False)} for file in self._files)


def _change_arithmetic(folder: Path, job: str) -> None:
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    source = str(folder / "float.tflite")
    worker = quantizer.Quantizer(source)
    if job == "int8":
        worker.load_quantization_recipe(recipe.static_wi8_ai8())
        [(signature, tensors)] = Interpreter(source).get_signature_list().items()
        pictures = _Pictures(folder / "calibration", tensors["inputs"][0])
        result = worker.quantize(worker.calibrate({signature: pictures}))
    else:
        _ask_for_half_weights(worker)
        result = worker.quantize()
    (folder / f"{job}.tflite").write_bytes(bytes(result.quantized_model))


def _ask_for_half_weights(worker: Any) -> None:
    """Weights in fp16, turned back where they are used: inputs and outputs stay float32."""
    from ai_edge_quantizer import algorithm_manager, qtyping

    half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    worker.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=half,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
    )


if __name__ == "__main__":
    if sys.argv[1] == VERSIONS:
        print(json.dumps(read_versions()))
    else:
        sys.exit(main(sys.argv[1], Path(sys.argv[2])))
