"""``infer compare``: what an artifact keeps of its reference ONNX on a labelled set."""

from __future__ import annotations

import argparse
from pathlib import Path

from inference_core.commands.lines import claim_stdout
from inference_core.commands.loading import (
    choose_runtime,
    read_manifest,
    require_file,
    resolve_from_file,
)
from inference_core.contract.build import ParityFigures, ParityLimits
from inference_core.contract.compare import (
    ComparedPicture,
    CompareJob,
    CompareOutcome,
    CompareProgress,
)
from inference_core.contract.words import RuntimeName
from inference_core.errors import BadInput, CoreError, NotFinite
from inference_core.files import read_document
from inference_core.inspection.sandbox import shut_in


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "reference", type=Path, nargs="?", metavar="REFERENCE", help="the ONNX file"
    )
    parser.add_argument("artifact", type=Path, nargs="?", metavar="ARTIFACT")
    parser.add_argument(
        "--job", type=Path, help="a CompareJob of two versions, JSON; answers with JSON lines"
    )
    parser.add_argument(
        "--manifest", type=Path, help="default: beside the reference, or recognised from it"
    )
    parser.add_argument(
        "--runtime",
        type=RuntimeName,
        choices=list(RuntimeName),
        help="of the artifact; default: what suits the file",
    )
    parser.add_argument("--dataset", type=Path, metavar="DIR")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one ParityFigures")


def execute(args: argparse.Namespace) -> int:
    """0 the artifact keeps the default limits, 1 it does not, 2 bad input."""
    if args.job is not None:
        shut_in(write=[args.job.parent])  # the models are strangers'
        return _compare_versions(args.job)
    if args.reference is None or args.artifact is None or args.dataset is None:
        raise BadInput("give REFERENCE, ARTIFACT and --dataset, or --job; see --help")
    from inference_core.optimize import parity

    limits = ParityLimits()
    with claim_stdout() as out:
        try:
            figures, reason = _compare(args, limits)
        except NotFinite as error:
            out.write_line(f"refused: {error}")
            return 1
        refusal = reason or parity.refuse_candidate(args.artifact.name, figures, limits)
        if args.json:
            out.write_message(figures)
        else:
            out.write_line(parity.describe_share(args.artifact.name, figures))
            out.write_line(f"refused: {refusal}" if refusal else "passed")
        return 1 if refusal else 0


def _compare(args: argparse.Namespace, limits: ParityLimits) -> tuple[ParityFigures, str | None]:
    """The figures, and why the reference itself proves nothing, if so."""
    from inference_core.datasets import read_dataset
    from inference_core.optimize import parity
    from inference_core.optimize.coverage import refuse_small
    from inference_core.runtimes.base import SessionOptions
    from inference_core.runtimes.lookup import get_runtime

    manifest = resolve_from_file(read_manifest(args.reference, args.manifest), args.reference)
    require_file(args.artifact)
    golden = read_dataset(args.dataset)
    options = SessionOptions(threads=args.threads)
    reference = get_runtime(RuntimeName.ONNXRUNTIME).load(args.reference, manifest, options)
    name = args.runtime or choose_runtime(args.artifact)
    artifact = get_runtime(name).load(args.artifact, manifest, options)
    judged = parity.evaluate(reference, manifest, golden)
    figures = parity.compare(judged, parity.evaluate(artifact, manifest, golden))
    small = refuse_small(judged.readings, limits)
    return figures, small or parity.refuse_reference(judged, limits)


def _compare_versions(path: Path) -> int:
    """Whatever happens, the last message is an outcome: the worker waits for it."""
    from inference_core.optimize.versus import compare_versions

    job = read_document(path, CompareJob)
    with claim_stdout() as out, Path(job.pictures_path).open("xb") as pictures:

        def tell(share: float, detail: str) -> None:
            out.write_message(CompareProgress(share=share, detail=detail))

        def keep(picture: ComparedPicture) -> None:
            pictures.write(picture.to_json() + b"\n")

        try:
            figures = compare_versions(job, tell, keep)
        except CoreError as error:
            out.write_message(CompareOutcome(reason=str(error)))
            return 2
        pictures.flush()
        out.write_message(CompareOutcome(reason="compared", figures=figures))
    return 0
