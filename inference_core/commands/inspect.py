"""``infer inspect``: what is in an ONNX file, and whether its manifest tells the truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inference_core.contract.build import InspectionReport, InspectionResult
from inference_core.contract.manifest import ModelManifest
from inference_core.errors import BadInput
from inference_core.files import read_document


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="an ONNX file")
    parser.add_argument("--manifest", type=Path, required=True, help="the ModelManifest, JSON")
    parser.add_argument("--json", action="store_true", help="print one InspectionResult")
    parser.add_argument(
        "--limits", action="store_true", help="give up network, memory and files first"
    )


def execute(args: argparse.Namespace) -> int:
    """0 a report, 1 a problem with the model; ``BadInput`` where a file cannot be read."""
    manifest = read_document(args.manifest, ModelManifest)  # the caller's own: no limits needed
    try:
        result = _inspect(args.model, manifest, limits=args.limits)
    except OSError as error:
        raise BadInput(f"{args.model} cannot be read: {error.strerror or error}") from error
    sys.stdout.write((result.to_json().decode() if args.json else _describe(result)) + "\n")
    return 0 if result.report else 1


def _inspect(model: Path, manifest: ModelManifest, *, limits: bool) -> InspectionResult:
    from inference_core.inspection import sandbox

    if limits:
        sandbox.drop_network()  # before onnx and numpy are imported: they start threads
    from inference_core.inspection.inspect import inspect_model

    if limits:
        sandbox.limit_resources()
    return inspect_model(model, manifest)


def _describe(result: InspectionResult) -> str:
    if result.report is None:
        return f"refused: {result.problem.detail}" if result.problem else "refused"
    return _describe_report(result.report)


def _describe_report(report: InspectionReport) -> str:
    tensors = [
        f"{side:<9} {tensor.name} {['?' if s is None else s for s in tensor.shape]} {tensor.dtype}"
        for side, group in (("input", report.inputs), ("output", report.outputs))
        for tensor in group
    ]
    operators = ", ".join(f"{name} {count}" for name, count in report.operators.items())
    return "\n".join(
        [
            f"sha256    {report.sha256}",
            f"size      {report.size_bytes / 1e6:.1f} MB, {report.parameters:,} parameters",
            f"opset     {report.opset}, {report.producer or 'unknown producer'}",
            *tensors,
            f"operators {operators}",
        ]
    )
