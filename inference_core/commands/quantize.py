"""``infer quantize``: INT8 by real pictures, quickly and without a certificate."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from inference_core.commands.lines import claim_stdout
from inference_core.commands.loading import at_least_one, read_manifest, resolve_from_file
from inference_core.commands.progress import open_bar
from inference_core.contract.words import RuntimeName
from inference_core.errors import BadInput

if TYPE_CHECKING:
    from inference_core.optimize.quick import Quantized, Tell

_RUNTIMES = ("onnxruntime", "openvino", "opencv_dnn", "litert", "tensorrt")
_POOR = 0.9
_TELLING = 6
"""Pictures held out, below which an agreement says little."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="an ONNX file in float")
    add(
        "--calibration",
        type=Path,
        required=True,
        metavar="DIR",
        help="pictures from the line: a plain folder or a dataset; their values set the ranges",
    )
    add("-o", "--output", type=Path, required=True, metavar="OUT", help="a file, or a folder")
    add("--runtime", default="onnxruntime", choices=_RUNTIMES, help="default: onnxruntime")
    add("--manifest", type=Path, help="default: beside the model, or recognised")
    add("--threads", type=at_least_one, default=2, metavar="N", help="default: 2")
    add("--json", action="store_true", help="print one JSON object")


def execute(args: argparse.Namespace) -> int:
    """0 written, 2 bad input. How well INT8 serves is for ``infer build`` to judge."""
    with claim_stdout() as out:
        with open_bar() as bar:
            made = _quantize(args, bar.show)
        out.write_line(json.dumps(asdict(made)) if args.json else _describe(made))
    return 0


def _quantize(args: argparse.Namespace, tell: Tell) -> Quantized:
    from inference_core.optimize.convert import get_builder
    from inference_core.optimize.pictures import ENOUGH_PICTURES, read_pictures
    from inference_core.optimize.quick import quantize

    manifest = resolve_from_file(read_manifest(args.model, args.manifest), args.model)
    if args.model.suffix.lower() != ".onnx":
        raise BadInput(f"{args.model.name} is no ONNX file; quantise the float model it came from")
    runtime = RuntimeName(args.runtime)
    target = _choose_target(args.output, args.model, get_builder(runtime).suffix)
    pictures = read_pictures(args.calibration)
    if (count := len(pictures.samples)) < ENOUGH_PICTURES:
        sys.stderr.write(
            f"infer quantize: {count} pictures are few; {ENOUGH_PICTURES} to 300 that show all "
            "that the line brings set better ranges\n"
        )
    return quantize(
        args.model,
        manifest,
        pictures,
        runtime=runtime,
        target=target,
        tell=tell,
        threads=args.threads,
    )


def _choose_target(output: Path, model: Path, suffix: str) -> Path:
    """A path without a suffix is a folder. Raises ``BadInput`` for another format's suffix."""
    is_folder = output.is_dir() or not output.suffix
    target = output / f"{model.stem}.int8{suffix}" if is_folder else output
    if target.suffix != suffix:
        raise BadInput(f"this runtime takes {suffix} files; write -o {output.with_suffix(suffix)}")
    if target.resolve() == model.resolve():
        raise BadInput("the output is the model itself; give -o another name")
    return target


def _describe(made: Quantized) -> str:
    sizes = f"{made.int8_bytes / 1e6:.1f} MB, the float model has {made.float_bytes / 1e6:.1f} MB"
    return (
        f"{made.artifact} for {made.runtime}: {sizes}\n{_describe_agreement(made)}\n"
        "Not certified: infer build measures it on a golden set, and refuses it where it lost."
    )


def _describe_agreement(made: Quantized) -> str:
    if made.agreement is None:
        return f"Agreement with the float model is not known: {made.note}."
    advice = ""
    if made.agreement_pictures < _TELLING:
        advice = " These are too few to trust the figure."
    elif made.agreement < _POOR:
        advice = " That is poor: do not use it."
    return (
        f"It finds the same as the float model to {made.agreement:.1%} on "
        f"{made.agreement_pictures} pictures held out.{advice}"
    )
