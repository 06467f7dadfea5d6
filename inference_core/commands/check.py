"""``infer check``: whether the stages and rules of a pipeline make sense."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from inference_core.contract.decoders import Decoder
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from inference_core.errors import BadInput
from inference_core.files import read_document
from inference_core.pipeline.checks import check_pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what the command takes."""
    parser.add_argument("pipeline", type=Path, metavar="PIPELINE", help="a PipelineSpec file")
    parser.add_argument(
        "--manifest",
        action="append",
        default=[],
        metavar="MODEL=FILE",
        help="the manifest of each model; then class names and what models can do are checked too",
    )
    parser.add_argument("--json", action="store_true", help='print {"problems": [...]}')


def execute(args: argparse.Namespace) -> int:
    """0 the pipeline makes sense, 1 it does not, 2 a file cannot be read."""
    spec = read_document(args.pipeline, PipelineSpec)
    problems = check_pipeline(spec, _read_decoders(spec, args.manifest))
    if args.json:
        sys.stdout.write(json.dumps({"problems": problems}, ensure_ascii=False) + "\n")
    else:
        sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


def _read_decoders(spec: PipelineSpec, pairs: list[str]) -> dict[str, Decoder] | None:
    """By stage id; None where no manifest is given."""
    files = dict(pair.partition("=")[::2] for pair in pairs)
    if not files:
        return None
    absent = sorted(spec.models - set(files))
    if absent:
        raise BadInput(f"give --manifest for every model; absent: {', '.join(absent)}")
    return {
        stage.id: read_document(Path(files[stage.model]), ModelManifest).decoder
        for stage in spec.stages
    }
