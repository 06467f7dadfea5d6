"""``infer count``: how many objects of a video cross a line, or the border of a zone."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inference_core.commands.lines import claim_stdout
from inference_core.commands.loading import add_model_options, load_for_cli, read_manifest
from inference_core.commands.progress import track as show_progress
from inference_core.contract.pipeline import PipelineSpec, Rule, Stage, Tiles, Track
from inference_core.contract.results import Counts, FrameResult
from inference_core.contract.serve import Camera, FrameLost
from inference_core.contract.words import Task
from inference_core.errors import BadInput
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.sinks import draw_result, encode_jpeg
from inference_core.pipeline.sources import iterate_frames
from inference_core.runtimes.base import SessionOptions

_STAGE = "count"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what the command takes."""
    add = parser.add_argument
    add("video", type=Path, metavar="VIDEO", help="a video, as .avi, .mp4 or .mkv")
    add("--model", type=Path, required=True, help="a detector")
    add_model_options(parser)
    border = parser.add_mutually_exclusive_group(required=True)
    points = "in pixels where a number is above 1, else shares of the frame"
    border.add_argument(
        "--line",
        metavar="X1,Y1,X2,Y2",
        help=f"{points}; seen from its first point, who goes to the left-hand side has entered",
    )
    border.add_argument("--zone", metavar="X1,Y1,X2,Y2,X3,Y3,…", help=f"corners, {points}")
    add("--labels", metavar="A,B", help="count these classes only")
    add("--tiles", metavar="WIDTHxHEIGHT", help="look in tiles of so many pixels, for small things")
    add("--begin-score", type=float, default=0.5, help="of a box to begin an object; default: 0.5")
    add("--max-missing", type=float, default=0.5, metavar="SECONDS", help="default: 0.5")
    add("--overlay", type=Path, metavar="DIR", help="write every frame with what was followed")
    add("--json", action="store_true", help="print one JSON object")


def execute(args: argparse.Namespace) -> int:
    """0 counted to the end, 1 the model failed on a frame, 2 the video cannot be read whole."""
    frames = iterate_frames([args.video], Camera(name="cli", address="file:///"))
    first = next(frames)
    if isinstance(first, FrameLost):
        raise BadInput(first.detail)
    height, width = first.picture.shape[:2]
    tracking = _read_track(args, (width, height))
    pipeline = _load(args, tracking)
    with claim_stdout() as out:
        tally = _Tally()
        overlay = None if args.overlay is None else _Overlay(args.overlay, tracking)
        for item in show_progress(chain([first], frames), "counting"):
            tally.add(item, pipeline, overlay)
        pipeline.close()
        answer = tally.report(args.video)
        out.write_line(json.dumps(answer, ensure_ascii=False) if args.json else _describe(answer))
    return tally.exit_code


@dataclass
class _Tally:
    """What came of the frames so far."""

    frames: int = 0
    faults: int = 0
    seconds: float = 0.0
    counts: Counts = field(default_factory=Counts)
    spent_s: float = 0.0
    incomplete: str | None = None

    def add(self, item: Frame | FrameLost, pipeline: Pipeline, overlay: _Overlay | None) -> None:
        """Looks at one frame."""
        if isinstance(item, FrameLost):
            self.incomplete = item.detail
            sys.stderr.write(f"infer count: {item.detail}\n")
            return
        begun = time.perf_counter()
        result = pipeline.judge(item)
        self.spent_s += time.perf_counter() - begun
        stage = result.stages[0]
        self.frames += 1
        self.seconds = item.captured_s
        self.counts = stage.counts or self.counts
        self._tell_fault(result)
        if overlay is not None:
            overlay.write(item, result)

    @property
    def exit_code(self) -> int:
        """As ``execute`` promises."""
        return 2 if self.incomplete else int(self.faults > 0)

    def report(self, video: Path) -> dict[str, Any]:
        """``fps`` is how fast the frames were looked at; ``seconds`` is time of the video."""
        return {
            "video": str(video),
            "counts": self.counts.model_dump(),
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "fps": round(self.frames / self.spent_s, 1) if self.spent_s else None,
            "faults": self.faults,
            "incomplete": self.incomplete,
        }

    def _tell_fault(self, result: FrameResult) -> None:
        """The first one: a model that fails often fails on every frame."""
        if result.fault is not None and not self.faults:
            sys.stderr.write(f"infer count: frame {result.sequence}: {'; '.join(result.reasons)}\n")
        self.faults += result.fault is not None


class _Overlay:
    """JPEGs ``000012.jpg`` in a folder."""

    def __init__(self, folder: Path, tracking: Track) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"the folder {folder} cannot be made: {error.strerror}") from error
        self._folder = folder
        self._tracking = tracking

    def write(self, frame: Frame, result: FrameResult) -> None:
        from inference_core.tracking.drawing import draw_border

        drawn = draw_result(frame.picture, result, shows_verdict=False)
        draw_border(drawn, self._tracking)
        (self._folder / f"{frame.sequence:06d}.jpg").write_bytes(encode_jpeg(drawn))


def _load(args: argparse.Namespace, tracking: Track) -> Pipeline:
    manifest = read_manifest(args.model, args.manifest)
    if manifest.task is not Task.DETECTION:
        raise BadInput(f"{args.model.name} is for {manifest.task}; counting needs a detector")
    labels = getattr(manifest.decoder, "labels", ())
    if unknown := [name for name in tracking.labels or () if name not in labels]:
        raise BadInput(f"{args.model.name} knows no {unknown[0]!r}, only {', '.join(labels)}")
    options = SessionOptions(threads=max(args.threads, 1))
    model = load_for_cli(args.model, manifest=manifest, runtime=args.runtime, options=options)
    stage = Stage(id=_STAGE, model=_STAGE, track=tracking, tiles=_read_tiles(args.tiles))
    rule = Rule(fail="False", because="counting judges nothing")
    spec = PipelineSpec(pipeline=_STAGE, stages=(stage,), rules=(rule,))
    pipeline = Pipeline(spec, {_STAGE: model})
    pipeline.warm_up()
    return pipeline


def _read_track(args: argparse.Namespace, frame_size: tuple[int, int]) -> Track:
    given = args.line or args.zone
    points = _read_points(given, frame_size)
    if args.line and len(points) != 2:
        raise BadInput(f"a line has two points, --line X1,Y1,X2,Y2, not {given!r}")
    try:
        return Track(
            line=points if args.line else None,
            zone=None if args.line else points,
            labels=None if args.labels is None else tuple(args.labels.split(",")),
            max_missing_s=args.max_missing,
            begin_score=args.begin_score,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the border"
        width, height = frame_size
        raise BadInput(f"{place}: {first['msg']} (the frame is {width}×{height})") from error


def _read_points(text: str, frame_size: tuple[int, int]) -> Any:
    """Pairs of shares of the frame."""
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError as error:
        raise BadInput(f"{text!r} is not numbers with commas between them") from error
    if len(numbers) % 2:
        raise BadInput(f"{text!r} has a number too many or too few: a point is X,Y")
    in_pixels = max(numbers) > 1
    unit = frame_size if in_pixels else (1, 1)
    return tuple(
        (x / unit[0], y / unit[1]) for x, y in zip(numbers[::2], numbers[1::2], strict=True)
    )


def _read_tiles(text: str | None) -> Tiles | None:
    if text is None:
        return None
    try:
        width, height = (int(side) for side in text.lower().split("x"))
        return Tiles(size_px=(width, height))
    except ValueError as error:
        raise BadInput(f"--tiles is WIDTHxHEIGHT, at least 16 each, not {text!r}") from error


def _describe(answer: dict[str, Any]) -> str:
    parts = [
        f"{word} {count} {label}"
        for word, by_label in answer["counts"].items()
        for label, count in by_label.items()
    ]
    seconds, frames, fps = answer["seconds"], answer["frames"], answer["fps"]
    return f"{', '.join(parts) or 'nothing crossed'}  ({frames} frames, {seconds} s, {fps} fps)"
