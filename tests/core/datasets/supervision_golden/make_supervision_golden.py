"""Freezes the files that another library writes for known boxes and outlines.

Run in an environment of its own: ``pip install supervision opencv-python-headless`` and ``python
make_supervision_golden.py``. It writes ``supervision.json`` beside itself.
"""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import supervision as sv

WIDTH, HEIGHT = 64, 48
CLASSES = ["dent", "small screw"]
BOXES = {"a.png": [[0, 0, 64, 48], [10, 20, 31, 30]], "b.png": [[5, 6, 17, 18]]}
NUMBERS = {"a.png": [1, 0], "b.png": [1]}
SUFFIXES = {".txt", ".xml", ".json", ".yaml"}


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures = [str(folder / name) for name in BOXES]
        for picture in pictures:
            cv2.imwrite(picture, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        found = {
            str(folder / name): sv.Detections(
                xyxy=np.array(rows, np.float64), class_id=np.array(NUMBERS[name])
            )
            for name, rows in BOXES.items()
        }
        dataset = sv.DetectionDataset(CLASSES, pictures, found)
        dataset.as_pascal_voc(annotations_directory_path=str(folder / "voc"))
        dataset.as_yolo(
            annotations_directory_path=str(folder / "yolo/labels"),
            data_yaml_path=str(folder / "yolo/data.yaml"),
        )
        dataset.as_coco(annotations_path=str(folder / "coco/_annotations.coco.json"))
        files = {
            name: {
                path.relative_to(folder / name).as_posix(): path.read_text()
                for path in sorted((folder / name).rglob("*"))
                if path.suffix in SUFFIXES
            }
            for name in ("voc", "yolo", "coco")
        }
    golden = {"supervision": version("supervision"), "files": files}
    text = json.dumps({**golden, "classes": CLASSES, "boxes": BOXES, "numbers": NUMBERS}, indent=1)
    Path(__file__).with_name("supervision.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
