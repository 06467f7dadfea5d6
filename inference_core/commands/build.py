"""``infer build``: a certified artifact for a hardware profile, or the reason why there is none."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from inference_core.commands.lines import LineWriter, claim_stdout
from inference_core.contract.build import BuildJob, BuildOutcome, BuildProgress, ProfileSpec
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import Precision, RuntimeName
from inference_core.errors import BadInput, CoreError
from inference_core.files import read_document

_EXIT_CODES = {"succeeded": 0, "refused": 1, "failed": 2}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Either ``--job``, for a worker, or a model with its sets, for a person."""
    parser.add_argument("model", type=Path, nargs="?", metavar="MODEL", help="an ONNX file")
    parser.add_argument("--job", type=Path, help="a BuildJob, JSON; answers with JSON lines")
    parser.add_argument("--manifest", type=Path, help="default: manifest.json beside the model")
    parser.add_argument("--profile", help="name of the hardware profile")
    parser.add_argument("--runtime", type=RuntimeName, choices=list(RuntimeName))
    parser.add_argument("--precision", type=Precision, choices=list(Precision), action="append")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--calibration", type=Path, metavar="DIR")
    parser.add_argument("--golden", type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR")


def execute(args: argparse.Namespace) -> int:
    """0 succeeded, 1 refused by the parity gate, 2 bad input or nothing could be built."""
    with claim_stdout() as out:
        if args.job is not None:
            return _build(read_document(args.job, BuildJob), out.write_message)
        outcome = _Person(out)
        code = _build(_make_job(args), outcome.tell)
        outcome.write_certificate()
        return code


def _build(job: BuildJob, tell: Callable[[BuildProgress | BuildOutcome], None]) -> int:
    """Whatever happens, the last message is an outcome: the worker waits for it."""
    from inference_core.optimize.build import run_build

    try:
        outcome = run_build(job, tell)
    except CoreError as error:
        outcome = BuildOutcome(outcome="failed", reason=str(error), candidates=())
    tell(outcome)
    if outcome.outcome == "failed":
        sys.stderr.write(f"infer build: {outcome.reason}\n")
    return _EXIT_CODES[outcome.outcome]


class _Person:
    """Tells a person how a build goes, and keeps the certificate beside the artifact."""

    def __init__(self, out: LineWriter) -> None:
        self._out = out
        self._outcome: BuildOutcome | None = None

    def tell(self, event: BuildProgress | BuildOutcome) -> None:
        if isinstance(event, BuildProgress):
            self._out.write_line(f"{event.share:4.0%}  {event.step:<9}  {event.detail}")
            return
        self._outcome = event
        for candidate in event.candidates:
            self._out.write_line(f"{candidate.outcome:<8} {candidate.reason}")
        self._out.write_line(f"{event.outcome}: {event.artifact_path or event.reason}")

    def write_certificate(self) -> None:
        from inference_core.optimize.publish import write_whole

        if self._outcome and self._outcome.certificate and self._outcome.artifact_path:
            path = Path(self._outcome.artifact_path).with_suffix(".certificate.json")
            write_whole(path, self._outcome.certificate.to_json())
            self._out.write_line(f"certificate: {path}")


def _make_job(args: argparse.Namespace) -> BuildJob:
    from inference_core.datasets import read_dataset
    from inference_core.optimize.materials import hash_file

    needed = ("model", "profile", "runtime", "calibration", "golden", "output")
    if absent := [name for name in needed if getattr(args, name) is None]:
        raise BadInput(f"give {', '.join(absent)}, or --job with a file that holds them")
    manifest = args.manifest or args.model.with_name("manifest.json")
    return BuildJob(
        model_path=str(args.model.resolve()),
        source_sha256=hash_file(args.model),
        manifest=read_document(manifest, ModelManifest),
        profile=_make_profile(args),
        calibration_dir=str(args.calibration.resolve()),
        calibration_sha256=read_dataset(args.calibration).sha256,
        golden_dir=str(args.golden.resolve()),
        golden_sha256=read_dataset(args.golden).sha256,
        output_dir=str(args.output.resolve()),
    )


def _make_profile(args: argparse.Namespace) -> ProfileSpec:
    document = {
        "name": args.profile,
        "runtime": args.runtime,
        "architecture": platform.machine(),
        "precisions": args.precision or [Precision.FP32, Precision.INT8],
        "threads": args.threads,
    }
    try:
        return ProfileSpec.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"the profile's {where} is wrong: {first['msg']}") from error
