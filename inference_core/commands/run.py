"""``infer run``: look at pictures or videos on this machine with a model or a pipeline."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from inference_core.commands.answers import (
    Answer,
    answer_for_model,
    answer_for_pipeline,
    answer_for_unreadable,
    describe,
)
from inference_core.commands.lines import LineWriter, claim_stdout
from inference_core.commands.loading import above_zero
from inference_core.commands.progress import track
from inference_core.commands.subject import (
    Subject,
    add_subject_options,
    load_subject,
    read_subject,
)
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import Camera, FrameLost
from inference_core.errors import BadInput
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sinks import OverlaySink
from inference_core.pipeline.sources import iterate_frames, list_pictures
from inference_core.pipeline.sources.capture import VIDEO_SUFFIXES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what the command takes."""
    add_subject_options(parser)
    add = parser.add_argument
    add(
        "sources",
        type=Path,
        nargs="+",
        metavar="SOURCE",
        help="pictures, folders of them, or videos",
    )
    add(
        "--mm-per-px",
        type=above_zero,
        help="scale of the camera, for areas and lengths in millimetres",
    )
    add("--json", action="store_true", help="print one JSON object a line and image")
    add("--overlay", type=Path, metavar="DIR", help="write pictures with the findings drawn in")


def execute(args: argparse.Namespace) -> int:
    """0 every frame was looked at, 1 a model failed on one, 2 one could not be read."""
    subject = read_subject(args)
    paths = _list_files(args.sources)
    with claim_stdout() as out:
        return _Run(subject, args, out).look_at(paths)


class _Run:
    """One loaded subject, and where its answers go."""

    def __init__(self, subject: Subject, args: argparse.Namespace, out: LineWriter) -> None:
        self._subject = subject
        self._overlay = (
            OverlaySink(args.overlay, shows_verdict=subject.is_pipeline) if args.overlay else None
        )
        self._pipeline = load_subject(subject, args.runtime, args.threads)
        self._camera = Camera(name="cli", address="file:///", mm_per_px=args.mm_per_px)
        self._out = out
        self._is_json: bool = args.json

    def look_at(self, paths: list[Path]) -> int:
        """Every frame in order, whatever becomes of the one before."""
        worst = sequence = 0
        for path in track(paths, "looking", len(paths)):
            for item in iterate_frames([path], self._camera):
                worst = max(worst, self._look_at_one(path, sequence, item))
                sequence += isinstance(item, Frame)
        self._pipeline.close()
        return worst

    def _look_at_one(self, path: Path, sequence: int, item: Frame | FrameLost) -> int:
        if isinstance(item, FrameLost):
            self._tell_unreadable(path, item.detail)
            return 2
        frame = replace(item, sequence=sequence, source=str(path))
        result = self._pipeline.judge(frame)
        self._tell(frame, result, item.sequence)
        return int(result.fault is not None)

    def _tell(self, frame: Frame, result: FrameResult, number: int) -> None:
        if self._overlay is not None:
            self._overlay.write(frame, result)
        if not self._is_json:
            self._out.write_line(self._describe(result))
        else:
            answer = (
                answer_for_pipeline(result)
                if self._subject.is_pipeline
                else answer_for_model(result, self._subject.task)
            )
            is_video = Path(result.source).suffix.lower() in VIDEO_SUFFIXES
            self._write(answer | ({"frame": number} if is_video else {}))

    def _describe(self, result: FrameResult) -> str:
        says_verdict = self._subject.is_pipeline or result.fault is not None
        verdict = f"  {result.verdict.value.upper()}" if says_verdict else ""
        return f"{result.source}{verdict}  {result.latency_ms:.1f} ms  {describe(result)}"

    def _tell_unreadable(self, path: Path, reason: str) -> None:
        sys.stderr.write(f"infer run: {reason}\n")
        if self._is_json:
            self._write(answer_for_unreadable(str(path), self._subject.task, reason))

    def _write(self, answer: Answer) -> None:
        self._out.write_line(json.dumps(answer, ensure_ascii=False))


def _list_files(sources: list[Path]) -> list[Path]:
    files = list(_expand(sources))
    if not files:
        raise BadInput("the folders hold no picture; give JPEG, PNG or BMP files, or a video")
    return files


def _expand(sources: list[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            yield from list_pictures(source)
        elif source.exists():
            yield source
        else:
            raise BadInput(f"{source} does not exist")
