"""Datasets as zips: real pictures, drawn small."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

import cv2
import numpy as np

SIZE = (48, 32)


def picture(seed: int, *, kind: str = ".jpg", size: tuple[int, int] = SIZE) -> bytes:
    rng = np.random.default_rng(seed)
    width, height = size
    pixels = np.full((height, width, 3), 127, np.uint8)
    x, y = rng.integers(4, width - 16), rng.integers(4, height - 12)
    pixels[y : y + 8, x : x + 12] = 10 if seed % 2 else 245
    pixels[0, 0] = seed % 251
    done, data = cv2.imencode(kind, pixels)
    assert done
    return data.tobytes()


def mask_of(image: bytes) -> bytes:
    """Classes of the tests' brightness model: 1 is dark, 2 is bright."""
    gray = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_GRAYSCALE)
    classes = np.zeros(gray.shape, np.uint8)
    classes[gray < 80] = 1
    classes[gray > 180] = 2
    done, data = cv2.imencode(".png", classes)
    assert done
    return data.tobytes()


def board_files(seeds: range) -> dict[str, bytes]:
    """A segmentation set in the folder format."""
    files: dict[str, bytes] = {}
    lines = []
    for seed in seeds:
        image, mask = f"images/{seed}.png", f"masks/{seed}.png"
        files[image] = picture(seed, kind=".png")
        files[mask] = mask_of(files[image])
        lines.append(json.dumps({"image": image, "mask": mask}))
    files["labels.jsonl"] = "\n".join([*lines, ""]).encode()
    return files


def pack(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    packed.seek(0)
    return packed
