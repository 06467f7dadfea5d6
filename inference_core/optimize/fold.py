"""Fixes a graph's shapes and folds its constants, so that every runtime can read it."""

from __future__ import annotations

import logging
from pathlib import Path

import onnx
import onnxruntime as ort

from inference_core.contract.manifest import ModelManifest
from inference_core.optimize.problem import ConversionFailed

logger = logging.getLogger(__name__)

_ERRORS_ONLY = 3


def fold(
    source: Path, manifest: ModelManifest, folded: Path, *, keeps_batch_open: bool = False
) -> None:
    """Write ``source`` with the manifest's input shape and without what that makes constant.

    Operator set, IR version, metadata and the names of inputs and outputs stay. OpenCV and
    OpenVINO refuse some graphs whose shapes are computed at run time; folded, they take them.
    """
    model = onnx.load(str(source), load_external_data=False)
    _fix_inputs(model, manifest)
    if keeps_batch_open:
        _open_batch(model, manifest)
    _run_basic_optimiser(model, folded)
    result = onnx.load(str(folded))
    foreign = {node.domain for node in result.graph.node} - {"", "ai.onnx"}
    if foreign:
        raise ConversionFailed(f"folding brought operators of {sorted(foreign)} into the graph")
    _drop_unused_domains(result)
    onnx.save(result, str(folded))
    logger.info("folded %d nodes to %d", len(model.graph.node), len(result.graph.node))


def _fix_inputs(model: onnx.ModelProto, manifest: ModelManifest) -> None:
    shapes = {spec.name: spec.fixed_shape for spec in manifest.inputs}
    for value in model.graph.input:
        if value.name in shapes:
            declared = value.type.tensor_type.shape
            del declared.dim[:]
            for size in shapes[value.name]:
                declared.dim.add().dim_value = size
    # Shapes written down for the open graph would contradict the fixed one.
    del model.graph.value_info[:]


def _open_batch(model: onnx.ModelProto, manifest: ModelManifest) -> None:
    names = {spec.name for spec in manifest.inputs}
    for value in model.graph.input:
        if value.name in names:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _run_basic_optimiser(model: onnx.ModelProto, folded: Path) -> None:
    options = ort.SessionOptions()
    # Basic rewrites stay within ONNX; higher levels use operators of ONNX Runtime's own.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = 1
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ConversionFailed(f"ONNX Runtime cannot simplify the graph: {error}") from error


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    """ONNX Runtime imports all the domains it knows; other runtimes stumble over them."""
    standard = [entry for entry in model.opset_import if entry.domain in {"", "ai.onnx"}]
    del model.opset_import[:]
    model.opset_import.extend(standard)
