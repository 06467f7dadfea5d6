"""``infer export``: a model as DeepStream or Triton wants it."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from inference_core.errors import BadInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="an ONNX or an .engine file")
    parser.add_argument("--to", required=True, choices=["deepstream", "triton"])
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--manifest", type=Path, help="default: MODEL.manifest.json or manifest.json beside it"
    )
    parser.add_argument("--name", help="of the model at the server; default: from the file's name")
    parser.add_argument(
        "--instances", type=int, default=1, metavar="N", help="of the model in Triton; default: 1"
    )


def execute(args: argparse.Namespace) -> int:
    """0 written; ``BadInput`` where the server cannot do what the manifest asks for."""
    from inference_core.commands.loading import read_manifest, resolve_from_file
    from inference_core.export.base import open_origin, write_export
    from inference_core.export.deepstream import export_deepstream
    from inference_core.export.triton import export_triton

    manifest = resolve_from_file(read_manifest(args.model, args.manifest), args.model)
    origin = open_origin(args.model, _choose_name(args), manifest)
    if not 1 <= args.instances <= 64:
        raise BadInput("--instances takes 1 to 64")
    is_triton = args.to == "triton"
    export = export_triton(origin, args.instances) if is_triton else export_deepstream(origin)
    write_export(args.output, export)
    for name in sorted(export.files):
        sys.stdout.write(f"{args.output / name}\n")
    for note in export.notes:
        sys.stdout.write(f"note: {note}\n")
    return 0


def _choose_name(args: argparse.Namespace) -> str:
    stem = args.model.resolve().parent.name if args.model.stem == "model" else args.model.stem
    name: str = args.name or re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "model"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise BadInput(f"{name!r} is no name for a model; use letters, digits, dots and dashes")
    return name
