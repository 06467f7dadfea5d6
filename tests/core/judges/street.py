"""A golden set and a calibration set of real pictures, with boxes that a person drew.

The boxes were drawn by eye on enlarged pictures, without a model's help. In ``messi5.jpg`` the
spectators are not labelled. Five pictures prove little in general; here they tell a model that
sees from one that does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.contract.dataset import BoxLabel, LabelLine
from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import Dataset, read_dataset
from inference_core.files import read_document
from inference_core.optimize.fold import fold

SAMPLES = Path(__file__).parents[2] / "samples"
NANODET = SAMPLES / "models" / "nanodet_416.onnx"
COCO_SSD = SAMPLES / "models" / "coco_ssd_mobilenet_v2_300.onnx"

Truth = tuple[tuple[str, float, float, float, float], ...]

_PARKED: Truth = (("car", 652, 44, 724, 100), ("car", 735, 50, 768, 93))
GOLDEN_PICTURES: dict[str, Truth] = {
    "apple.jpg": (("apple", 41, 5, 462, 497),),
    "messi5.jpg": (("person", 69, 61, 457, 336), ("sports ball", 338, 289, 387, 336)),
}
GOLDEN_FRAMES: dict[int, Truth] = {
    0: (
        ("person", 254, 219, 283, 307),
        ("person", 500, 157, 530, 232),
        ("person", 640, 241, 684, 321),
        *_PARKED,
    ),
    240: (
        ("person", 39, 176, 62, 245),
        ("person", 236, 156, 264, 233),
        ("person", 451, 250, 482, 351),
        ("person", 615, 200, 640, 279),
        ("person", 657, 271, 706, 379),
        ("person", 641, 116, 665, 178),
        ("person", 663, 120, 684, 182),
        *_PARKED,
    ),
    480: (
        ("person", 463, 238, 508, 337),
        ("person", 579, 248, 613, 340),
        ("person", 611, 270, 644, 387),
        ("person", 406, 219, 430, 287),
        *_PARKED,
    ),
}
CALIBRATION_FRAMES = tuple(range(40, 795, 80))
CALIBRATION_PICTURES = ("fruits.jpg", "stuff.jpg", "smarties.png", "squirrel_cls.jpg")


@dataclass(frozen=True)
class Street:
    """Folders of the two sets."""

    golden: Dataset
    calibration: Dataset


def write_street(folder: Path) -> Street:
    """Writes both sets; frames as PNG, so that no codec changes them."""
    golden, calibration = _Set(folder / "golden"), _Set(folder / "calibration")
    for name, truth in GOLDEN_PICTURES.items():
        golden.add(name, (SAMPLES / "images" / name).read_bytes(), truth)
    for name in CALIBRATION_PICTURES:
        calibration.add(name, (SAMPLES / "images" / name).read_bytes())
    for number, frame in enumerate(_frames()):
        if number in GOLDEN_FRAMES:
            golden.add(f"frame{number}.png", _encode(frame), GOLDEN_FRAMES[number])
        elif number in CALIBRATION_FRAMES:
            calibration.add(f"frame{number}.png", _encode(frame))
    return Street(golden.close(), calibration.close())


def sample_manifest(model: Path) -> ModelManifest:
    return read_document(model.with_name(f"{model.stem}.manifest.json"), ModelManifest)


def write_folded(model: Path, folder: Path) -> Path:
    folded = folder / "folded.onnx"
    fold(model, sample_manifest(model), folded)
    return folded


class _Set:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: list[bytes] = []
        (folder / "images").mkdir(parents=True)

    def add(self, name: str, data: bytes, truth: Truth = ()) -> None:
        (self._folder / "images" / name).write_bytes(data)
        boxes = tuple(BoxLabel(label=label, xyxy=xyxy) for label, *xyxy in truth)
        line = LabelLine(image=f"images/{name}", boxes=boxes)
        self._lines.append(line.to_json() + b"\n")

    def close(self) -> Dataset:
        (self._folder / "labels.jsonl").write_bytes(b"".join(self._lines))
        return read_dataset(self._folder)


@cache
def _frames() -> tuple[NDArray[np.uint8], ...]:
    wanted = {*GOLDEN_FRAMES, *CALIBRATION_FRAMES}
    video = cv2.VideoCapture(str(SAMPLES / "video" / "vtest.avi"))
    frames = []
    for number in range(max(wanted) + 1):
        _, frame = video.read()
        frames.append(np.asarray(frame, np.uint8) if number in wanted else np.empty(0, np.uint8))
    video.release()
    return tuple(frames)


def _encode(frame: NDArray[np.uint8]) -> bytes:
    _, data = cv2.imencode(".png", frame)
    return data.tobytes()
