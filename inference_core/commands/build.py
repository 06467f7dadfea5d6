"""``infer build``: a certified artifact for a hardware profile, or the reason why there is none."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from inference_core.commands.lines import LineWriter, claim_stdout
from inference_core.commands.loading import RUNTIMES, at_least_one, read_manifest
from inference_core.commands.progress import Bar, open_bar
from inference_core.contract.build import BuildJob, BuildOutcome, BuildProgress, ProfileSpec
from inference_core.contract.words import Precision, RuntimeName
from inference_core.errors import BadInput, CoreError, NotNow, RuntimeUnavailable
from inference_core.files import read_document
from inference_core.inspection.sandbox import shut_in

_EXIT_CODES = {"succeeded": 0, "refused": 1, "failed": 2}
_AUTO = "auto"
_DOCUMENTS = {".json", ".yaml", ".yml"}

Tell = Callable[[BuildProgress | BuildOutcome], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Either ``--job``, for a worker, or a model with its sets, for a person."""
    add = parser.add_argument
    add("model", type=Path, nargs="?", metavar="MODEL", help="an ONNX file in float")
    add("--job", type=Path, help="a BuildJob, JSON; answers with JSON lines")
    add("--manifest", type=Path, help="default: beside the model, or recognised")
    add(
        "--profile",
        help="name of the hardware profile, such as x86-openvino; a runtime in it is taken; "
        "or a file with a ProfileSpec",
    )
    add(
        "--runtime",
        choices=[_AUTO, *RUNTIMES],
        help="default: as the profile's name says, else auto: the fastest that runs here",
    )
    add("--precision", type=Precision, choices=list(Precision), action="append")
    add("--threads", type=at_least_one, default=1, metavar="N")
    add("--calibration", type=Path, metavar="DIR", help="dataset whose pictures set INT8's ranges")
    add(
        "--golden", type=Path, metavar="DIR", help="labelled dataset that judges; no shared picture"
    )
    add("-o", "--output", type=Path, metavar="DIR")


def execute(args: argparse.Namespace) -> int:
    """0 succeeded, 1 refused by the parity gate, 2 bad input or nothing could be built."""
    with claim_stdout() as out:
        if args.job is not None:
            shut_in(write=[args.job.parent])  # the model is a stranger's
            return _build([read_document(args.job, BuildJob)], out.write_message)
        jobs = _make_jobs(args)
        with open_bar() as bar:
            person = _Person(out, bar)
            code = _build(jobs, person.tell)
        person.conclude()
        return code


def _build(jobs: list[BuildJob], tell: Tell) -> int:
    """Whatever happens, the last message is an outcome: the worker waits for it."""
    from inference_core.optimize.build import run_build, run_builds

    try:
        outcome = run_build(jobs[0], tell) if len(jobs) == 1 else run_builds(jobs, tell)
    except CoreError as error:
        is_final = not isinstance(error, (NotNow, RuntimeUnavailable))
        outcome = BuildOutcome(
            outcome="failed", reason=str(error), candidates=(), is_final=is_final
        )
    tell(outcome)
    if outcome.outcome == "failed":
        sys.stderr.write(f"infer build: {outcome.reason}\n")
    return _EXIT_CODES[outcome.outcome]


class _Person:
    """Tells a person how a build goes: by a bar on a terminal, else line by line."""

    def __init__(self, out: LineWriter, bar: Bar) -> None:
        self._out = out
        self._bar = bar
        self._outcome: BuildOutcome | None = None

    def tell(self, event: BuildProgress | BuildOutcome) -> None:
        """One event of the build."""
        if isinstance(event, BuildOutcome):
            self._outcome = event
        elif self._bar.is_shown:
            self._bar.show(event.share, f"{event.step}: {event.detail}")
        else:
            self._out.write_line(f"{event.share:4.0%}  {event.step:<9}  {event.detail}")

    def conclude(self) -> None:
        """What became of each candidate; certificate and manifest beside the artifact."""
        outcome = self._outcome
        if outcome is None:
            return
        for candidate in outcome.candidates:
            self._out.write_line(f"{candidate.outcome:<8} {candidate.reason}")
        self._out.write_line(f"{outcome.outcome}: {outcome.artifact_path or outcome.reason}")
        if outcome.artifact_path and outcome.certificate and outcome.manifest:
            self._write_beside(Path(outcome.artifact_path), outcome)

    def _write_beside(self, artifact: Path, outcome: BuildOutcome) -> None:
        from inference_core.optimize.publish import write_whole

        for name, message in (
            ("certificate", outcome.certificate),
            ("manifest", outcome.manifest),
        ):
            path = artifact.with_suffix(f".{name}.json")
            if message is not None:
                write_whole(path, message.to_json())
                self._out.write_line(f"{name}: {path}")


def _make_jobs(args: argparse.Namespace) -> list[BuildJob]:
    """One job, or one for each runtime that is to be tried."""
    from inference_core.datasets import read_dataset
    from inference_core.optimize.auto import spread
    from inference_core.optimize.materials import hash_file

    needed = ("model", "profile", "calibration", "golden", "output")
    if absent := [f"--{name}" for name in needed if getattr(args, name) is None]:
        words = ", ".join(absent).replace("--model", "MODEL")
        raise BadInput(f"give {words}, or --job with a file that holds them; see --help")
    manifest = read_manifest(args.model, args.manifest)
    if args.model.suffix.lower() != ".onnx":
        raise BadInput(
            f"{args.model.name} is no ONNX file; build from the model as it was exported"
        )
    profile, is_open = _make_profile(args)
    job = BuildJob(
        model_path=str(args.model.resolve()),
        source_sha256=hash_file(args.model),
        manifest=manifest,
        profile=profile,
        calibration_dir=str(args.calibration.resolve()),
        calibration_sha256=read_dataset(args.calibration).sha256,
        golden_dir=str(args.golden.resolve()),
        golden_sha256=read_dataset(args.golden).sha256,
        output_dir=str(args.output.resolve()),
    )
    return spread(job) if is_open else [job]


def _make_profile(args: argparse.Namespace) -> tuple[ProfileSpec, bool]:
    """The profile, and whether its runtime stands for whichever is the fastest."""
    if Path(args.profile).suffix in _DOCUMENTS:
        return read_document(Path(args.profile), ProfileSpec), False
    from inference_core.optimize.auto import read_runtime

    asked = None if args.runtime in (None, _AUTO) else RuntimeName(args.runtime)
    if asked is None and args.runtime is None:
        asked = read_runtime(args.profile)
    document = {
        "name": args.profile,
        "runtime": asked or RuntimeName.ONNXRUNTIME,
        "architecture": platform.machine(),
        "precisions": args.precision or [Precision.FP32, Precision.INT8],
        "threads": args.threads,
    }
    try:
        return ProfileSpec.model_validate(document), asked is None
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("name",):
            raise BadInput(
                f"{args.profile!r} is no name for a profile: use small letters and digits, "
                "with hyphens and dots between them"
            ) from error
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"the profile's {where} is wrong: {first['msg']}") from error
