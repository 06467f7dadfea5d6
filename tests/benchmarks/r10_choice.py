"""R10: what the automatic build chose, measured again beside all that it could have chosen."""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path

from inference_core.contract.build import BuildJob, BuildOutcome, ProfileSpec
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import Precision, RuntimeName
from inference_core.datasets import read_dataset
from inference_core.files import read_document
from inference_core.optimize.auto import spread
from inference_core.optimize.bench import bench
from inference_core.optimize.build import run_builds
from inference_core.optimize.builders.base import Source
from inference_core.optimize.convert import get_builder
from inference_core.optimize.feed import Feed
from inference_core.optimize.fold import fold
from inference_core.optimize.materials import hash_file
from inference_core.runtimes.base import Session, SessionOptions
from inference_core.runtimes.lookup import get_runtime
from server.demo.board_sets import CALIBRATION, GOLDEN, write_boards
from tests.benchmarks.measure import Figure
from tests.benchmarks.r1_to_r6 import THREADS

MODEL = Path("server") / "demo" / "models" / "board-defects" / "model.onnx"
ROUNDS, RUNS = 5, 40

Name = tuple[RuntimeName, Precision]


def measure_r10() -> Figure:
    """p50 of the chosen runtime and precision ÷ the lowest p50 of all that kept parity."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = _make_job(folder)
        outcome = run_builds(spread(job), lambda _: None)
        chosen, sessions = _load_eligible(outcome, job, folder)
        dataset = read_dataset(Path(job.golden_dir))
        inputs = next(iter(Feed(dataset, job.manifest, limit=1)))
        ratios = []
        for _ in range(ROUNDS):
            figures = bench(sessions, inputs, RUNS)
            best_ms = min(figure.p50_ms for figure in figures.values())
            ratios.append(figures[chosen].p50_ms / best_ms)
        for session in sessions.values():
            session.close()
    note = f"board-defects: {' '.join(chosen)} of {len(sessions)} that kept parity"
    return Figure("R10", 1.05, "at most", ratios, note)


def _make_job(folder: Path) -> BuildJob:
    for boards, name in ((GOLDEN, "golden"), (CALIBRATION, "calibration")):
        write_boards(boards, folder / name)
    return BuildJob(
        model_path=str(MODEL.resolve()),
        source_sha256=hash_file(MODEL),
        manifest=read_document(MODEL.with_name("manifest.json"), ModelManifest),
        profile=ProfileSpec(
            name="here",
            runtime=RuntimeName.ONNXRUNTIME,
            architecture=platform.machine(),
            precisions=(Precision.FP32, Precision.INT8),
            threads=THREADS,
        ),
        calibration_dir=str(folder / "calibration"),
        calibration_sha256=read_dataset(folder / "calibration").sha256,
        golden_dir=str(folder / "golden"),
        golden_sha256=read_dataset(folder / "golden").sha256,
        output_dir=str(folder / "out"),
    )


def _load_eligible(
    outcome: BuildOutcome, job: BuildJob, folder: Path
) -> tuple[Name, dict[Name, Session]]:
    """The chosen one's name, and a session for each that the build could have chosen."""
    folded = folder / "folded.onnx"
    fold(Path(job.model_path), job.manifest, folded)
    calibration = read_dataset(Path(job.calibration_dir))
    source = Source(
        folded=folded,
        manifest=job.manifest,
        calibration=Feed(calibration, job.manifest),
        architecture=job.profile.architecture,
    )
    eligible = [c for c in outcome.candidates if c.outcome in ("chosen", "slower")]
    sessions: dict[Name, Session] = {}
    for candidate in eligible:
        runtime = candidate.runtime or job.profile.runtime
        builder = get_builder(runtime)
        path = folder / f"{runtime}-{candidate.precision}{builder.suffix}"
        builder.build(source, candidate.precision, path)
        sessions[runtime, candidate.precision] = get_runtime(runtime).load(
            path, job.manifest, SessionOptions(threads=THREADS)
        )
    chosen = next(c for c in eligible if c.outcome == "chosen")
    return (chosen.runtime or job.profile.runtime, chosen.precision), sessions
