"""Runs the sample detectors on real pictures and keeps what decoders and peers are given.

``python -m tests.core.decode_golden.make_real_outputs`` in the repository, with the extra ``onnx``.

To keep the file small, places that score low are left out (SSD) or emptied (NanoDet, where the row
is the place); the numbers stay whole, because rounded scores would tie. The two YOLO layouts hold
SSD's answers: real boxes that overlap as real boxes do.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from inference_core.contract.manifest import ModelManifest
from inference_core.files import read_document
from inference_core.image import prepare

SAMPLES = Path(__file__).parents[2] / "samples"
PICTURES = ("messi5.jpg",)
FRAMES = (150, 300)
LOWEST = 0.08


def pictures() -> dict[str, np.ndarray]:
    found = {name: cv2.imread(str(SAMPLES / "images" / name)) for name in PICTURES}
    video = cv2.VideoCapture(str(SAMPLES / "video" / "vtest.avi"))
    for number in range(max(FRAMES) + 1):
        frame = video.read()[1]
        if number in FRAMES:
            found[f"vtest{number}"] = frame
    return found


def run(model: str, picture: np.ndarray) -> dict[str, np.ndarray]:
    manifest = read_document(SAMPLES / "models" / f"{model}.manifest.json", ModelManifest)
    session = onnxruntime.InferenceSession(str(SAMPLES / "models" / f"{model}.onnx"))
    names = [spec.name for spec in manifest.outputs]
    tensor = prepare(picture, manifest).tensor
    return dict(zip(names, session.run(names, {manifest.inputs[0].name: tensor}), strict=True))


def ssd_layouts(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    boxes, scores = (
        outputs["Postprocessor/ExpandDims_1:0"][0, :, 0],
        outputs["Postprocessor/Slice:0"][0],
    )
    likely = scores.max(axis=1) > LOWEST
    boxes, scores = boxes[likely], np.where(scores < LOWEST, 0, scores)[likely]
    y0, x0, y1, x1 = boxes.T * 300
    centred = np.stack([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0], axis=1)
    objectness = np.sqrt(scores.max(axis=1, keepdims=True))
    return {
        "ssd_boxes": boxes[None],
        "ssd_scores": scores[None],
        "v5": np.concatenate([centred, objectness, scores / objectness], axis=1)[None],
        "v8": np.concatenate([centred, scores], axis=1).T[None],
    }


def nanodet(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    emptied = {}
    for scores, sides in (("", "_3"), ("_1", "_4"), ("_2", "_5")):
        unlikely = outputs[f"Identity{scores}:0"].max(axis=2) <= LOWEST
        for name in (f"Identity{scores}:0", f"Identity{sides}:0"):
            kept = outputs[name].copy()
            kept[unlikely] = 0
            emptied[name] = kept if kept.shape[2] == 44 else np.where(kept < LOWEST, 0, kept)
    return emptied


if __name__ == "__main__":
    arrays = {}
    for name, picture in pictures().items():
        parts = ssd_layouts(run("coco_ssd_mobilenet_v2_300", picture)) | nanodet(
            run("nanodet_416", picture)
        )
        arrays |= {f"{name}/{part}": array for part, array in parts.items()}
    np.savez_compressed(Path(__file__).with_name("real_outputs.npz"), **arrays)
