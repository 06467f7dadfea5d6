"""``infer bench``: what a model or a pipeline takes on each runtime here; where a cascade pays."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_core.commands.candidates import Candidates, find_candidates, quantise_too
from inference_core.commands.lines import LineWriter, claim_stdout
from inference_core.commands.loading import RUNTIMES, above_zero, at_least_one
from inference_core.commands.progress import open_bar
from inference_core.commands.subject import add_subject_options, load_subject, read_subject
from inference_core.errors import BadInput
from inference_core.pipeline.frames import Frame

if TYPE_CHECKING:
    from inference_core.optimize.cascade import CascadePlan
    from inference_core.optimize.measure import Measured

_PLAIN_SIZE = (720, 1280, 3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_subject_options(parser)
    add = parser.add_argument
    add(
        "--runtimes",
        default="all",
        metavar="LIST",
        help=f"all, or some of {','.join(RUNTIMES)}; --runtime takes one",
    )
    add("--pictures", type=Path, metavar="DIR", help="frames to show; default: one of 1280×720")
    add(
        "--runs",
        type=at_least_one,
        default=50,
        help="rounds, each runtime once in each; default: 50",
    )
    add("--calibration", type=Path, metavar="DIR", help="measure INT8 too, set by these pictures")
    add("--cascade", action="store_true", help="find the threshold of a cascade of two stages")
    add("--dataset", type=Path, metavar="DIR", help="of --cascade: labelled pictures")
    add("--floor", type=above_zero, default=0.99, help="share of the heavy model's metric to keep")
    add("--json", action="store_true", help="print one JSON object")


def execute(args: argparse.Namespace) -> int:
    """0 measured, 1 no threshold keeps the cascade's floor, 2 bad input."""
    with claim_stdout() as out:
        return _plan_cascade(args, out) if args.cascade else _measure(args, out)


def _measure(args: argparse.Namespace, out: LineWriter) -> int:
    from inference_core.optimize.certify import describe_machine
    from inference_core.optimize.measure import measure

    subject = read_subject(args)
    frames = _read_frames(args.pictures)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, open_bar() as bar:
        bar.show(0.0, "loading")
        found = find_candidates(subject, _list_runtimes(args), args.threads)
        if args.calibration is not None:
            quantise_too(found, subject, args.calibration, Path(folder), args.threads)
        if not found.pipelines:
            raise BadInput(f"nothing can be measured: {_join(found.unavailable)}")
        done = iter(range(1, args.runs + 10))
        figures = measure(
            found.pipelines,
            frames,
            args.runs,
            lambda: bar.show(next(done) / args.runs, "measuring"),
        )
        found.close()
    if args.json:
        height, width = frames[0].picture.shape[:2]
        document = {
            "subject": str(args.subject),
            "task": subject.task,
            "frame": [width, height],
            "runs": args.runs,
            "threads": args.threads,
            "machine": describe_machine(),
            "results": [_spell(found, name, one) for name, one in figures.items()],
            "unavailable": found.unavailable,
        }
        out.write_line(json.dumps(document, ensure_ascii=False))
    else:
        _write_table(out, figures, found.unavailable)
    return 0


def _list_runtimes(args: argparse.Namespace) -> list[str]:
    if args.runtime is not None:
        return [args.runtime]
    if args.runtimes == "all":
        return RUNTIMES
    asked: list[str] = args.runtimes.split(",")
    if unknown := sorted(set(asked) - set(RUNTIMES)):
        raise BadInput(f"there is no runtime {unknown[0]!r}; there are {', '.join(RUNTIMES)}")
    return asked


def _read_frames(folder: Path | None) -> list[Frame]:
    from inference_core.optimize.pictures import list_plain
    from inference_core.picture import read_picture

    if folder is None:
        # Noise keeps a detector from finding nothing, and caches from being too kind.
        noise = np.random.default_rng(0).integers(0, 255, _PLAIN_SIZE, np.uint8)
        return [_frame("noise", noise)]
    paths = list_plain(folder)
    if not paths:
        raise BadInput(f"{folder} holds no picture to measure with")
    return [_frame(path.name, read_picture(path)) for path in paths[:50]]


def _frame(name: str, picture: np.ndarray[Any, Any]) -> Frame:
    now = datetime.now(timezone.utc)
    return Frame("bench", 0, name, now, time.perf_counter(), picture, mm_per_px=1.0)


def _spell(found: Candidates, name: str, measured: Measured) -> dict[str, Any]:
    return {**found.describe(name), **asdict(measured)}


def _write_table(
    out: LineWriter, figures: Mapping[str, Measured], unavailable: Mapping[str, str]
) -> None:
    columns = ("p50", "p95", "p99", "frames/s", "preprocess", "infer", "postprocess")
    out.write_line(f"{'ms':<20}" + "".join(f"{column:>12}" for column in columns))
    for name, one in sorted(figures.items(), key=lambda pair: pair[1].end_to_end.p50_ms):
        whole = one.end_to_end
        parts = [sum(stage[part].p50_ms for stage in one.stages.values()) for part in columns[4:]]
        row = [whole.p50_ms, whole.p95_ms, whole.p99_ms, one.frames_per_s, *parts]
        out.write_line(f"{name:<20}" + "".join(f"{value:>12.2f}" for value in row))
    for name, reason in unavailable.items():
        out.write_line(f"{name:<20}  not measured: {reason}")


def _join(unavailable: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in unavailable.items())


def _plan_cascade(args: argparse.Namespace, out: LineWriter) -> int:
    from inference_core.datasets import read_dataset
    from inference_core.optimize.cascade import plan_cascade

    if args.dataset is None:
        raise BadInput("--cascade needs --dataset DIR, labelled pictures that judge both models")
    subject = read_subject(args)
    labelled = read_dataset(args.dataset)
    pipeline = load_subject(subject, args.runtime, args.threads)
    steps = 3 * len(labelled.samples)
    done = iter(range(1, steps + 1))
    with open_bar() as bar:
        plan = plan_cascade(
            subject.spec,
            pipeline.models,
            labelled,
            args.floor,
            lambda: bar.show(next(done) / steps, "looking"),
        )
    pipeline.close()
    out.write_line(json.dumps(asdict(plan)) if args.json else _describe_plan(plan))
    return 0 if plan.chosen else 1


def _describe_plan(plan: CascadePlan) -> str:
    head = (
        f"light {plan.light_metric:.4f}, heavy {plan.heavy_metric:.4f} {plan.metric}; "
        f"to keep: {plan.floor:.4f}; the light stage costs r = {plan.cost_ratio:.3f} of the heavy"
    )
    if plan.chosen is None or plan.speed_up is None:
        return f"{head}\nno threshold keeps that and saves anything: run the heavy model alone"
    chosen, ideal = plan.chosen, plan.chosen.ideal_speed_up
    return (
        f'{head}\nescalate_when: "confidence < {chosen.threshold}" sends '
        f"e = {chosen.escalated:.1%} on and keeps {chosen.metric:.4f};\n"
        f"it is {plan.speed_up:.2f} times as fast as the heavy model alone, "
        f"{plan.speed_up / ideal:.0%} of the ideal {ideal:.2f}"
    )
