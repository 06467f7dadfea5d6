"""Inspects one ONNX file against its manifest."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs

from inference_core.contract.build import InspectionReport, InspectionResult
from inference_core.contract.manifest import ModelManifest
from inference_core.inspection import rules
from inference_core.inspection.labels import check_labels
from inference_core.inspection.problem import RefusedError
from inference_core.inspection.reader import nodes, parse, read_bytes, stored_tensors
from inference_core.inspection.support import judge_support
from inference_core.inspection.tensors import clean, facts_of, fix_shape, true_inputs

_MAX_METADATA = 64
_MAX_METADATA_KEY = 100
_MAX_METADATA_VALUE = 200


def inspect_model(path: Path, manifest: ModelManifest | None) -> InspectionResult:
    """Report on the file, or the problem that forbids its use; never another answer.

    Without a manifest the graph alone is looked at.

    Weights outside the file are not followed and no operator is run. Only ``OSError`` is raised:
    a file that cannot be read says nothing about the model.
    """
    try:
        return InspectionResult(report=_inspect(path, manifest))
    except RefusedError as refused:
        return InspectionResult(problem=refused.problem)
    except OSError:
        raise
    except MemoryError:
        detail = "the model does not fit in the memory given to its inspection"
        return InspectionResult(problem=RefusedError("too_large", detail).problem)
    except Exception as error:  # noqa: BLE001 - onnx raises of every kind on hostile bytes
        detail = f"{type(error).__name__}: {error}"
        return InspectionResult(problem=RefusedError("inspection_failed", detail).problem)


def _inspect(path: Path, manifest: ModelManifest | None) -> InspectionReport:
    data = read_bytes(path)
    model = parse(data)
    rules.check_operators(model)
    rules.check_sizes(model)
    _check_form(data)
    inputs = facts_of(true_inputs(model))
    shaped = model if manifest is None else _check_manifest(model, manifest)
    return InspectionReport(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        opset=rules.opset_of(model),
        producer=clean(f"{model.producer_name} {model.producer_version}".strip(), 100),
        parameters=sum(math.prod(tensor.dims) for tensor in stored_tensors(model)),
        operators=dict(sorted(Counter(node.op_type for node in nodes(model)).items())),
        inputs=inputs,
        outputs=facts_of(model.graph.output),
        metadata=_metadata(model),
        support=judge_support(shaped),
    )


def _check_manifest(model: onnx.ModelProto, manifest: ModelManifest) -> onnx.ModelProto:
    """The graph with every shape that follows from the manifest's input."""
    inputs = facts_of(true_inputs(model))
    rules.check_tensors(inputs, manifest.inputs, "input", complete=True)
    inferred = _check_outputs(model, manifest)
    rules.check_alphabet(model, manifest)
    check_labels(manifest)
    return inferred


def _check_form(data: bytes) -> None:
    try:
        onnx.checker.check_model(data)
    except onnx.checker.ValidationError as error:
        raise RefusedError("not_onnx", f"the graph is malformed: {_first_line(error)}") from error


def _check_outputs(model: onnx.ModelProto, manifest: ModelManifest) -> onnx.ModelProto:
    """Give the input the manifest's shape, follow it through the graph, compare what comes out."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in true_inputs(fixed):
        fix_shape(value, next(s.fixed_shape for s in manifest.inputs if s.name == value.name))
    try:
        inferred = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, DecodeError) as error:
        raise RefusedError(
            "shape_mismatch",
            f"the graph does not work with the manifest's input shape: {_first_line(error)}",
        ) from error
    rules.check_sizes(inferred)
    found = facts_of(inferred.graph.output)
    rules.check_tensors(found, manifest.outputs, "output", complete=False)
    return inferred


def _metadata(model: onnx.ModelProto) -> dict[str, str]:
    entries = list(model.metadata_props)[:_MAX_METADATA]
    return {
        clean(entry.key, _MAX_METADATA_KEY): clean(entry.value, _MAX_METADATA_VALUE)
        for entry in entries
    }


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
