"""Asks supervision to merge SSD's boxes across classes.

In an environment with supervision 0.31.2 (MIT), in this folder:
``python make_supervision_golden.py > supervision.json``.
"""

from __future__ import annotations

import numpy as np
import supervision as sv
from peers import IOU, MOST, PICTURES, SCORE, answer, read_outputs, write


def ask(outputs: dict[str, np.ndarray]) -> dict:
    boxes, scores = outputs["ssd_boxes"][0], outputs["ssd_scores"][0]
    row, class_id = np.nonzero(scores >= SCORE)
    everything = sv.Detections(
        xyxy=boxes[row][:, [1, 0, 3, 2]] * 300,
        confidence=scores[row, class_id],
        class_id=class_id,
    )
    merged = everything.with_nms(threshold=IOU, class_agnostic=True)
    best = merged[np.argsort(-merged.confidence, kind="stable")[:MOST]]
    clipped = sv.clip_boxes(best.xyxy, (300, 300))
    return answer(best.class_id, best.confidence, clipped)


if __name__ == "__main__":
    answers = {picture: ask(read_outputs(picture)) for picture in PICTURES}
    write(f"supervision {sv.__version__}", {"ssd_across_classes": answers})
