"""Asks Intel's Model API to decode the YOLOv8 layout; it answers in whole pixels.

In an environment with openvino-model-api 0.4.7 (Apache-2.0), in this folder:
``python make_model_api_golden.py > model_api.json``.
"""

from __future__ import annotations

from importlib.metadata import version
from types import SimpleNamespace

from model_api.models.yolo import YOLOv8
from peers import IOU, PICTURES, SCORE, answer, read_outputs, write

FRAME = (450, 600, 3)


class Asked(YOLOv8):
    """The wrapper without a network in it."""

    params = SimpleNamespace(
        confidence_threshold=SCORE,
        iou_threshold=IOU,
        nms_max_predictions=1000,
        agnostic_nms=False,
        nms_execute=True,
        resize_type="fit_to_window_letterbox",
        labels=[],
    )
    orig_width = orig_height = 300

    def __init__(self) -> None:
        pass

    def get_label_name(self, label_id: int) -> str:
        return str(label_id)


if __name__ == "__main__":
    answers = {}
    for picture in PICTURES:
        outputs = {"v8": read_outputs(picture)["v8"].copy()}
        found = Asked().postprocess(outputs, {"original_shape": FRAME})
        answers[picture] = answer(found.labels, found.scores, found.bboxes)
    write(f"openvino-model-api {version('openvino-model-api')}", {"v8": answers})
