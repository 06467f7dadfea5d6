"""The sets of boards of the sample story, and the folders they are written to.

A set is a range of seeds. The ranges are disjoint, so no board that a model learned from, or was
calibrated with, ever judges it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from server.demo.boards import Board, crop_marking, render_board
from server.demo.flaws import Mask, Picture

# Letters are 8 px high: at 92 the recogniser takes one "5" in fifteen boards for an "S".
JPEG_QUALITY = 97
DEVICES_AT_MOST = 1000
_LIVE_FROM, _LIVE_COUNT = 3_000_000, 24


@dataclass(frozen=True)
class BoardSet:
    """Boards by their seeds; every `evening_every`-th is seen in evening light (0: none is)."""

    name: str
    seeds: range
    evening_every: int = 0

    def boards(self) -> Iterator[tuple[str, Board]]:
        """Draw the boards one by one, each with a file name that is its own."""
        for index, seed in enumerate(self.seeds):
            board = render_board(seed, evening=self.in_evening(index))
            yield f"{self.name}-{seed}", board

    def in_evening(self, index: int) -> bool:
        """Whether the board at this place of the set lies in evening light."""
        return self.evening_every > 0 and index % self.evening_every == self.evening_every - 1


TRAIN = BoardSet("train", range(100_000))
CALIBRATION = BoardSet("calibration", range(1_000_000, 1_000_024))
GOLDEN = BoardSet("golden", range(2_000_000, 2_000_032))
# A misread letter is rarer than a missed scratch: it takes more boards to show up.
GOLDEN_MARKINGS = BoardSet("golden", range(2_000_000, 2_000_096))


def live_set(device: int) -> BoardSet:
    """What the sample camera of one device loops over: 24 boards, 8 of them at evening.

    Every third, so that evening boards walk through all kinds of flaws.
    """
    if not 0 <= device < DEVICES_AT_MOST:
        raise ValueError(f"device {device} is not in 0..{DEVICES_AT_MOST - 1}")
    first = _LIVE_FROM + device * _LIVE_COUNT
    return BoardSet(f"live{device}", range(first, first + _LIVE_COUNT), evening_every=3)


def write_boards(boards: BoardSet, folder: Path) -> int:
    """Write `images/*.jpg`, `masks/*.png` and `labels.jsonl`; how many boards there are.

    One board is in memory at a time. A line of the labels:
    `{"image": "images/x.jpg", "mask": "masks/x.png", "text": "TDA1517P", "verdict": "pass",
    "light": "day"}`.
    """
    rows = (_write_board(folder, name, board) for name, board in boards.boards())
    return _write_labels(folder, rows)


def write_markings(boards: BoardSet, folder: Path) -> int:
    """Write crops of the marking region for a text recogniser; how many there are.

    Each crop is moved by up to a pixel, as a region drawn by hand would be. A rubbed-out marking
    has the text "". PNG, for letters suffer from JPEG and crops are small.
    """
    rows = (_write_marking(folder, name, board) for name, board in boards.boards())
    return _write_labels(folder, rows)


def _write_board(folder: Path, name: str, board: Board) -> dict[str, Any]:
    image, mask = f"images/{name}.jpg", f"masks/{name}.png"
    _write_picture(folder / image, board.image)
    _write_picture(folder / mask, board.mask)
    return {
        "image": image,
        "mask": mask,
        "text": board.marking,
        "verdict": board.verdict,
        "light": board.light.name,
    }


def _write_marking(folder: Path, name: str, board: Board) -> dict[str, Any]:
    image = f"images/{name}.png"
    dx, dy = np.random.default_rng([int(name.rpartition("-")[2]), 1]).integers(-1, 2, 2)
    _write_picture(folder / image, crop_marking(_as_jpeg(board.image), (int(dx), int(dy))))
    return {"image": image, "text": board.marking}


def _as_jpeg(picture: Picture) -> Picture:
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


def _write_picture(path: Path, picture: Picture | Mask) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else []
    if not cv2.imwrite(str(path), picture, options):
        raise OSError(f"cannot write {path}")


def _write_labels(folder: Path, rows: Iterator[dict[str, Any]]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with (folder / "labels.jsonl").open("w", encoding="utf-8") as labels:
        for row in rows:
            labels.write(json.dumps(row) + "\n")
            count += 1
    return count
