"""``infer embed``: one ONNX file of a model whose weights lie beside it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inference_core.contract.build import InspectionResult
from inference_core.errors import BadInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what the command takes."""
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="an ONNX file with weights beside it")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="a file that is not there")
    add("--json", action="store_true", help="print an InspectionResult where it is refused")
    add("--limits", action="store_true", help="give up the network and other files first")


def execute(args: argparse.Namespace) -> int:
    """0 the file is written, 1 the model is refused, 2 a file cannot be read or written."""
    if args.limits:
        from inference_core.inspection import sandbox

        # Before onnx and numpy are imported: they start threads.
        sandbox.shut_in(read=[args.model.parent], write=[args.output.parent])
    from inference_core.inspection.embed import embed_weights
    from inference_core.inspection.problem import RefusedError

    try:
        data = embed_weights(args.model)
        with args.output.open("xb") as file:
            file.write(data)
    except RefusedError as refused:
        result = InspectionResult(problem=refused.problem)
        text = result.to_json().decode() if args.json else f"refused: {refused.problem.detail}"
        sys.stdout.write(f"{text}\n")
        return 1
    except OSError as error:
        raise BadInput(f"{error.filename or args.model}: {error.strerror or error}") from error
    return 0
