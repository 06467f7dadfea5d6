"""``infer inspect``: what is in a model's file, and whether its manifest tells the truth."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from inference_core.commands.examine import Examination, describe_file, examine, make_skeleton
from inference_core.commands.loading import SUFFIXES
from inference_core.contract.build import InspectionReport, InspectionResult
from inference_core.contract.manifest import ModelManifest
from inference_core.errors import BadInput
from inference_core.files import read_document


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="an ONNX file; of others little can be told")
    add("--manifest", type=Path, help="hold the model to it; default: the one beside the model")
    add("--json", action="store_true", help="print one InspectionResult, and what was recognised")
    add("--limits", action="store_true", help="give up network, other files and memory first")
    add("--skeleton", action="store_true", help="print the start of a manifest, to be filled in")


def execute(args: argparse.Namespace) -> int:
    """0 a report, 1 a problem with the model; ``BadInput`` where a file cannot be read."""
    if not args.model.is_file():
        raise BadInput(f"{args.model} is no file that can be read; give the file of a model")
    try:
        return _execute(args)
    except OSError as error:
        raise BadInput(f"{args.model} cannot be read: {error.strerror or error}") from error


def _execute(args: argparse.Namespace) -> int:
    if args.model.suffix.lower() not in SUFFIXES and args.manifest is None:
        raise BadInput(f"{args.model.name} is no model; known are {', '.join(SUFFIXES)}")
    if args.model.suffix.lower() != ".onnx" and args.manifest is None:
        facts = describe_file(args.model)
        _write(json.dumps(facts) if args.json else _list_facts(facts))
        return 0
    if args.skeleton:
        _write(json.dumps(make_skeleton(args.model), indent=2, ensure_ascii=False))
        return 0
    if args.manifest is not None:
        # The caller's own: no limits are needed to read it.
        manifest = read_document(args.manifest, ModelManifest)
        result = _inspect(args.model, manifest, limits=args.limits)
        _write(result.to_json().decode() if args.json else _describe(result))
        return 0 if result.report else 1
    return _examine(args)


def _examine(args: argparse.Namespace) -> int:
    """Without a manifest: the graph, and what its exporter says of it."""
    result = _inspect(args.model, None, limits=args.limits)
    found = examine(args.model) if result.report else None
    if args.json:
        _write(json.dumps({**json.loads(result.to_json()), **(found.to_json() if found else {})}))
    else:
        _write("\n".join([_describe(result), *(_describe_manifest(found) if found else [])]))
    return 0 if result.report else 1


def _inspect(model: Path, manifest: ModelManifest | None, *, limits: bool) -> InspectionResult:
    from inference_core.inspection import sandbox

    if limits:
        sandbox.shut_in(read=[model])  # before onnx and numpy are imported: they start threads
    from inference_core.inspection.inspect import inspect_model

    if limits:
        sandbox.limit_resources()
        sandbox.seal()
    return inspect_model(model, manifest)


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _list_facts(facts: dict[str, object]) -> str:
    return "\n".join(f"{key:<9} {value}" for key, value in facts.items())


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
            *(f"metadata  {key} = {value[:70]}" for key, value in report.metadata.items()),
        ]
    )


def _describe_manifest(found: Examination) -> list[str]:
    said = [f"manifest  {found.origin}"]
    if found.manifest is not None:
        labels = getattr(found.manifest.decoder, "labels", ())
        classes = f", {len(labels)} classes" if labels else ""
        size = "×".join(map(str, found.manifest.input_size))
        said.append(
            f"task      {found.manifest.task}{classes}, {found.manifest.decoder.kind}, {size}"
        )
        said.append(f"licence   {found.manifest.licence}")
    if found.problem:
        said.append(f"problem   {found.problem}")
    return said
