"""Asks RapidOCR where text stands on the probability maps of our own feeding of the detector.

Run it in an environment with rapidocr-onnxruntime 1.4.4 (Apache-2.0) and this repository:
``PYTHONPATH=. python tests/core/text_golden/make_rapidocr_golden.py > rapidocr.json``.
"""

from __future__ import annotations

import json
from pathlib import Path

from rapidocr_onnxruntime.ch_ppocr_det.utils import DBPostProcess

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import RuntimeName
from inference_core.files import read_document
from inference_core.image import prepare, read_picture
from inference_core.runtimes.lookup import get_runtime

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
PICTURES = ("scenetext01.jpg", "scenetext03.jpg", "scenetext04.jpg", "board.jpg")


def main() -> None:
    """One JSON object: for each picture the boxes in pixels of the frame, and their scores."""
    path = SAMPLES / "models" / "ppocr_v4_det.onnx"
    manifest = read_document(path.with_suffix(".manifest.json"), ModelManifest)
    session = get_runtime(RuntimeName.ONNXRUNTIME).load(path, manifest)
    peer = DBPostProcess(thresh=0.3, box_thresh=0.6, unclip_ratio=1.5, score_mode="fast")
    golden = {}
    for name in PICTURES:
        frame = read_picture(SAMPLES / "images" / name)
        prepared = prepare(frame, manifest)
        (output,) = session.run({"x": prepared.tensor}).values()
        x, y, width, height = prepared.transform.content_xywh
        shown = output[:, :, y : y + height, x : x + width]
        boxes, scores = peer(shown, frame.shape[:2])[:2]
        golden[name] = [
            {"polygon": box.tolist(), "score": round(float(score), 4)}
            for box, score in zip(boxes, scores, strict=True)
        ]
    print(json.dumps({"peer": "rapidocr-onnxruntime 1.4.4", "pictures": golden}, indent=1))


if __name__ == "__main__":
    main()
