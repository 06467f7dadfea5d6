"""``infer inspect``: what is in an ONNX file, and whether its manifest tells the truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from inference_core.contract.build import InspectionReport, InspectionResult
from inference_core.contract.manifest import ModelManifest

_MAX_MANIFEST_BYTES = 4 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="an ONNX file")
    parser.add_argument("--manifest", type=Path, required=True, help="the ModelManifest, JSON")
    parser.add_argument("--json", action="store_true", help="print one InspectionResult")
    parser.add_argument(
        "--limits", action="store_true", help="give up network, memory and files first"
    )


def execute(args: argparse.Namespace) -> int:
    """0 a report, 1 a problem with the model, 2 the files could not be read."""
    try:
        # Parsed outside the limits: the manifest is the caller's own.
        manifest = ModelManifest.model_validate_json(_read(args.manifest))
        result = _inspect(args.model, manifest, limits=args.limits)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        return _fail(f"{args.manifest} is not a manifest: {where}: {first['msg']}")
    except OSError as error:
        return _fail(str(error))
    print(result.to_json().decode() if args.json else _describe(result))
    return 0 if result.report else 1


def _inspect(model: Path, manifest: ModelManifest, *, limits: bool) -> InspectionResult:
    from inference_core.inspection import sandbox

    if limits:
        sandbox.drop_network()  # before onnx and numpy are imported: they start threads
    from inference_core.inspection.inspect import inspect_model

    if limits:
        sandbox.limit_resources()
    return inspect_model(model, manifest)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_MANIFEST_BYTES)


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


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
