"""``infer run``: look at pictures on this machine with a model or a pipeline."""

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
from inference_core.commands.progress import track
from inference_core.commands.subject import (
    Subject,
    add_subject_options,
    load_subject,
    read_subject,
)
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import Camera
from inference_core.errors import BadInput
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sinks import OverlaySink
from inference_core.pipeline.sources import list_pictures, read_frame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what the command takes."""
    add_subject_options(parser)
    add = parser.add_argument
    add("sources", type=Path, nargs="+", metavar="SOURCE", help="pictures, or folders of them")
    add("--mm-per-px", type=float, help="scale of the camera, for areas and lengths in millimetres")
    add("--json", action="store_true", help="print one JSON object a line and image")
    add("--overlay", type=Path, metavar="DIR", help="write pictures with the findings drawn in")


def execute(args: argparse.Namespace) -> int:
    """0 every picture was looked at, 1 a model failed on one, 2 one could not be read."""
    subject = read_subject(args)
    paths = _list_pictures(args.sources)
    with claim_stdout() as out:
        return _Run(subject, args, out).look_at(paths)


class _Run:
    """One loaded subject, and where its answers go."""

    def __init__(self, subject: Subject, args: argparse.Namespace, out: LineWriter) -> None:
        self._subject = subject
        self._overlay = None if args.overlay is None else OverlaySink(args.overlay)
        self._pipeline = load_subject(subject, args.runtime, args.threads)
        self._camera = Camera(name="cli", address="file:///", mm_per_px=args.mm_per_px)
        self._out = out
        self._is_json: bool = args.json

    def look_at(self, paths: list[Path]) -> int:
        """Every picture in order, whatever becomes of the one before."""
        worst = 0
        for sequence, path in enumerate(track(paths, "looking", len(paths))):
            try:
                frame = read_frame(path, self._camera, sequence)
            except BadInput as error:
                self._tell_unreadable(path, str(error))
                worst = 2
                continue
            result = self._pipeline.judge(replace(frame, source=str(path)))
            self._tell(frame, result)
            worst = max(worst, int(result.fault is not None))
        self._pipeline.close()
        return worst

    def _tell(self, frame: Frame, result: FrameResult) -> None:
        if self._overlay is not None:
            self._overlay.write(frame, result)
        if not self._is_json:
            self._out.write_line(self._describe(result))
        elif self._subject.is_pipeline:
            self._write(answer_for_pipeline(result))
        else:
            self._write(answer_for_model(result, self._subject.task))

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


def _list_pictures(sources: list[Path]) -> list[Path]:
    pictures = list(_expand(sources))
    if not pictures:
        raise BadInput("the folders hold no picture; give JPEG, PNG or BMP files")
    return pictures


def _expand(sources: list[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            yield from list_pictures(source)
        elif source.exists():
            yield source
        else:
            raise BadInput(f"{source} does not exist")
