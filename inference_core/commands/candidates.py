"""The runtimes and precisions that ``infer bench`` can hold against each other on this machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference_core.commands.loading import load_for_cli, resolve_from_file
from inference_core.commands.subject import ALONE, Subject, load_subject
from inference_core.contract.words import RuntimeName
from inference_core.errors import BadInput, CoreError
from inference_core.pipeline.graph import Pipeline
from inference_core.runtimes.base import SessionOptions
from inference_core.runtimes.lookup import get_runtime

_INT8 = "int8"


@dataclass
class Candidates:
    """Loaded pipelines by name, and why others are not there."""

    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)

    def describe(self, name: str) -> dict[str, Any]:
        """What is behind a name."""
        runtime, _, precision = name.partition(" ")
        return {
            "runtime": runtime,
            "precision": precision or None,
            "version": get_runtime(RuntimeName(runtime)).version(),
        }

    def close(self) -> None:
        """Gives the memory of all models back."""
        for pipeline in self.pipelines.values():
            pipeline.close()


def find_candidates(subject: Subject, runtimes: list[str], threads: int) -> Candidates:
    """The subject as it is, on each of the runtimes; a file says itself how it computes."""
    found = Candidates()
    for runtime in runtimes:
        try:
            get_runtime(RuntimeName(runtime)).version()  # says more than that it reads no ONNX
            found.pipelines[runtime] = load_subject(subject, runtime, threads)
        except CoreError as error:  # noqa: PERF203 a handful of runtimes
            found.unavailable[runtime] = str(error)
    return found


def quantise_too(
    found: Candidates, subject: Subject, calibration: Path, folder: Path, threads: int
) -> None:
    """Adds INT8 for every runtime that was asked for.

    Raises ``BadInput`` for a pipeline, and for too few pictures.
    """
    from inference_core.optimize.pictures import read_pictures
    from inference_core.optimize.quick import quantize

    if subject.is_pipeline:
        raise BadInput("--calibration is for one model; quantise those of a pipeline one by one")
    pictures = read_pictures(calibration)
    model = subject.artifacts[ALONE]
    manifest = resolve_from_file(subject.manifests[ALONE], model)
    for runtime in [*found.pipelines, *found.unavailable]:
        name = f"{runtime} {_INT8}"
        try:
            target = folder / f"{runtime}{_suffix(runtime)}"
            quantize(
                model,
                manifest,
                pictures,
                runtime=RuntimeName(runtime),
                target=target,
            )
            options = SessionOptions(threads=threads)
            loaded = load_for_cli(target, manifest=manifest, runtime=runtime, options=options)
            found.pipelines[name] = Pipeline(subject.spec, {ALONE: loaded})
        except CoreError as error:
            found.unavailable[name] = str(error)


def _suffix(runtime: str) -> str:
    from inference_core.optimize.convert import get_builder

    return get_builder(RuntimeName(runtime)).suffix
