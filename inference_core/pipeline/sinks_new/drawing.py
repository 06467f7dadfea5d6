"""Where results go: JSON lines, and pictures with what was found drawn over them."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

import cv2
import numpy as np

from inference_core.contract.results import FrameResult, Point, StageResult
from inference_core.contract.words import VerdictWord
from inference_core.errors import BadInput
from inference_core.files import write_atomically
from inference_core.picture import Picture
from inference_core.pipeline.frames import Frame

_GREEN, _RED, _ORANGE, _BLACK = (80, 200, 80), (60, 60, 230), (0, 165, 255), (0, 0, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BANNER_PX = 26


class Sink(Protocol):
    """Takes each frame with its result."""

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Delivers one result."""


class JsonLinesSink:
    """One ``FrameResult`` a line, UTF-8."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Writes the line and flushes it, so that a reader sees it at once."""
        del frame
        self._stream.write(result.to_json() + b"\n")
        self._stream.flush()


class OverlaySink:
    """JPEGs ``000012-board.jpg`` in a folder: sequence number and name of the source."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"the folder {folder} cannot be made: {error.strerror}") from error
        self._folder = folder

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Draws, encodes and writes one picture."""
        name = f"{result.sequence:06d}-{Path(result.source).stem}.jpg"
        write_atomically(self._folder / name, encode_jpeg(draw_result(frame.picture, result)))


def encode_jpeg(picture: Picture, quality: int = 92) -> bytes:
    """The picture as JPEG; quality from 1 to 100."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def draw_result(picture: Picture, result: FrameResult) -> Picture:
    """A copy of the picture with regions, text and the verdict on it."""
    canvas = picture.copy()
    for stage in result.stages:
        _draw_stage(canvas, stage)
    passed = result.verdict is VerdictWord.PASS
    banner = " | ".join([result.verdict.value.upper(), *result.reasons])
    cv2.rectangle(canvas, (0, 0), (canvas.shape[1], _BANNER_PX), _BLACK, cv2.FILLED)
    _write(canvas, banner, (6, _BANNER_PX - 8), _GREEN if passed else _RED)
    return canvas


def _draw_stage(canvas: Picture, stage: StageResult) -> None:
    for region in stage.regions:
        area = "" if region.area_mm2 is None else f" {region.area_mm2:.1f} mm2"
        _outline(canvas, region.polygon, _RED)
        x, y = int(region.xyxy[0]), int(region.xyxy[1])
        _write(canvas, f"{region.label} {region.score:.2f}{area}", (x, max(y - 4, 12)), _RED)
    for line in stage.lines:
        _outline(canvas, line.polygon, _ORANGE)
        x, y = (int(side) for side in max(line.polygon, key=lambda point: point[1] - point[0]))
        _write(canvas, f"{line.text} {line.score:.2f}", (x, y + 14), _ORANGE)


def _outline(canvas: Picture, polygon: tuple[Point, ...], colour: tuple[int, int, int]) -> None:
    points = np.rint(np.array(polygon, dtype=np.float64).reshape(-1, 1, 2)).astype(np.int32)
    cv2.polylines(canvas, [points], isClosed=True, color=colour, thickness=2)


def _write(
    canvas: Picture, text: str, place: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """A dark rim keeps the text readable on any surface. The font knows ASCII only."""
    readable = text.encode("ascii", "replace").decode()[:200]
    cv2.putText(canvas, readable, place, _FONT, 0.45, _BLACK, 3, cv2.LINE_AA)
    cv2.putText(canvas, readable, place, _FONT, 0.45, colour, 1, cv2.LINE_AA)
