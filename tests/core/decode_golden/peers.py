"""What the scripts that ask peers share: the frozen outputs, and how answers are written."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
PICTURES = ("messi5.jpg", "vtest150", "vtest300")
SCORE, IOU, MOST = 0.1, 0.5, 100
NANODET_SCORE = 0.3  # ncnn looks at 200 candidates of a class at most


def read_outputs(picture: str) -> dict[str, np.ndarray]:
    """The frozen outputs of the sample detectors on one picture, by their names."""
    with np.load(FOLDER / "real_outputs.npz") as arrays:
        return {
            name.removeprefix(f"{picture}/"): arrays[name].astype(np.float32)
            for name in arrays
            if name.startswith(f"{picture}/")
        }


def answer(class_id: Sequence[Any], score: Sequence[Any], xyxy: Sequence[Any]) -> dict[str, Any]:
    """Boxes as the golden files hold them."""
    return {
        "class_id": [int(name) for name in class_id],
        "score": [round(float(value), 5) for value in score],
        "xyxy": [[round(float(side), 3) for side in box] for box in xyxy],
    }


def write(peer: str, golden: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps({"peer": peer, **golden}) + "\n")
