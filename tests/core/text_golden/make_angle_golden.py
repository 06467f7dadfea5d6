"""Asks RapidOCR which way up lines of text stand: a real convolutional classifier.

Run it in an environment with rapidocr-onnxruntime 1.4.4 (Apache-2.0) and this repository:
``PYTHONPATH=. python tests/core/text_golden/make_angle_golden.py > angles.json``.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from rapidocr_onnxruntime.ch_ppocr_cls import TextClassifier

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
BOXES = json.loads(Path(__file__).with_name("rapidocr.json").read_text())["pictures"]


def main() -> None:
    """One JSON object: for each line of text, as it is and upside down, the peer's answer."""
    peer = TextClassifier(
        {
            "model_path": str(SAMPLES / "models" / "ppocr_v2_angle.onnx"),
            "use_cuda": False,
            "use_dml": False,
            "cls_image_shape": [3, 48, 192],
            "cls_batch_num": 1,
            "cls_thresh": 0.9,
            "label_list": ["0", "180"],
        }
    )
    lines = []
    for name, found in BOXES.items():
        frame = cv2.imread(str(SAMPLES / "images" / name))
        for box in found:
            x0, y0 = np.min(box["polygon"], axis=0)
            x1, y1 = np.max(box["polygon"], axis=0)
            for is_turned in (False, True):
                # Of the net's height, so that nobody's way to round the width matters.
                width = min(round(48 * (x1 - x0) / (y1 - y0)), 192)
                crop = cv2.resize(frame[y0:y1, x0:x1], (width, 48))
                _, ((label, score),), _ = peer(crop[::-1, ::-1] if is_turned else crop)
                lines.append(
                    {
                        "picture": name,
                        "xyxy": [int(side) for side in (x0, y0, x1, y1)],
                        "is_turned": is_turned,
                        "label": label,
                        "score": round(float(score), 4),
                    }
                )
    print(json.dumps({"peer": "rapidocr-onnxruntime 1.4.4", "lines": lines}, indent=1))


if __name__ == "__main__":
    main()
