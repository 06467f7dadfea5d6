"""Freezes what other libraries say of random pictures, polygons and lines.

Run in an environment of its own: ``pip install faster-coco-eval jiwer shapely numpy`` and
``python make_metrics_golden.py``. It writes ``metrics.json`` beside itself, inputs included.
"""

from __future__ import annotations

import json
import random
from importlib.metadata import version
from pathlib import Path

import jiwer
import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from shapely.geometry import MultiPoint, Polygon

CLASSES = 4
PACKAGES = ("faster-coco-eval", "jiwer", "numpy", "shapely")


def main() -> None:
    golden = {
        "versions": {name: version(name) for name in PACKAGES},
        "detection": [make_detection(seed) for seed in range(4)],
        "polygons": make_polygons(),
        "text": make_text(),
    }
    text = json.dumps(golden, separators=(",", ":"))
    Path(__file__).with_name("metrics.json").write_text(text + "\n")


def make_detection(seed: int) -> dict[str, object]:
    """Truth, found boxes near it, and noise; equal scores happen."""
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(12):
        truth = [[int(rng.integers(CLASSES - 1)), *box(rng)] for _ in range(rng.integers(0, 7))]
        found = []
        for name, *xyxy in truth:
            for _ in range(rng.integers(0, 3)):
                moved = np.round(np.array(xyxy) + rng.normal(0, 6, 4), 2).tolist()
                if moved[2] > moved[0] and moved[3] > moved[1]:
                    label = name if rng.random() < 0.9 else int(rng.integers(CLASSES))
                    found.append([label, round(float(rng.random()), 1), *moved])
        for _ in range(rng.integers(0, 4)):
            noise = [int(rng.integers(CLASSES)), round(float(rng.random()) * 0.6, 2), *box(rng)]
            found.append(noise)
        found.sort(key=lambda row: -row[1])
        pictures.append({"truth": truth, "found": found})
    return {"pictures": pictures, **evaluate(pictures)}


def box(rng: np.random.Generator) -> list[float]:
    x, y = rng.uniform(0, 400, 2)
    width, height = rng.uniform(8, 200, 2)
    return [round(float(side), 2) for side in (x, y, x + width, y + height)]


def evaluate(pictures: list[dict[str, list[list[float]]]]) -> dict[str, object]:
    truth, found = COCO(), COCO()
    for coco, rows in ((truth, "truth"), (found, "found")):
        coco.dataset = {
            "images": [{"id": n, "width": 700, "height": 700} for n in range(len(pictures))],
            "categories": [{"id": n, "name": str(n)} for n in range(CLASSES)],
            "annotations": [
                annotation(number, row, rows == "found")
                for number, picture in enumerate(pictures)
                for row in picture[rows]
            ],
        }
        for number, one in enumerate(coco.dataset["annotations"], start=1):
            one["id"] = number
        coco.createIndex()
    evaluation = COCOeval_faster(truth, found, iouType="bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    precision = np.array(evaluation.eval["precision"])[:, :, :, 0, -1]
    per_class = {
        str(n): float(precision[:, :, n].mean()) for n in range(CLASSES) if precision[0, 0, n] > -1
    }
    return {"map": evaluation.stats[0], "map_50": evaluation.stats[1], "per_class": per_class}


def annotation(image: int, row: list[float], is_found: bool) -> dict[str, object]:
    name, *rest = row
    x0, y0, x1, y1 = rest[-4:]
    size = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
    score = {"score": rest[0]} if is_found else {}
    return {"image_id": image, "category_id": name, **size, **score}


def make_polygons() -> list[dict[str, object]]:
    rng = np.random.default_rng(5)
    pairs = []
    while len(pairs) < 40:
        one, other = (
            MultiPoint(rng.uniform(0, 60, (6, 2)).round(2).tolist()).convex_hull for _ in range(2)
        )
        if isinstance(one, Polygon) and isinstance(other, Polygon):
            iou = one.intersection(other).area / one.union(other).area
            corners = [list(p.exterior.coords)[:-1] for p in (one, other)]
            pairs.append({"ours": corners[0], "theirs": corners[1], "iou": iou})
    return pairs


def make_text() -> dict[str, object]:
    dice = random.Random(6)
    pairs = []
    for _ in range(60):
        truth = "".join(dice.choice("AB0O1I-/ ß语") for _ in range(dice.randrange(1, 12))).strip()
        reading = [c for c in truth if dice.random() > 0.1]
        for _ in range(dice.randrange(3)):
            reading.insert(dice.randrange(len(reading) + 1), dice.choice("AB0"))
        if truth:
            # jiwer strips both; blanks at the ends are characters to us.
            pairs.append([truth, "".join(reading).strip()])
    return {"pairs": pairs, "cer": jiwer.cer([t for t, _ in pairs], [r for _, r in pairs])}


if __name__ == "__main__":
    main()
