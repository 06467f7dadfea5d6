"""The classes of the COCO dataset (Lin et al., ECCV 2014), which most pretrained detectors know."""

from __future__ import annotations

# fmt: off
BY_NUMBER: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "", "stop sign", "parking meter", "bench", "bird", "cat",
    "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "", "backpack",
    "umbrella", "", "", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "", "wine glass", "cup", "fork", "knife", "spoon", "bowl",
    "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza",
    "donut", "cake", "chair", "couch", "potted plant", "bed", "", "dining table", "", "",
    "toilet", "", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave",
    "oven", "toaster", "sink", "refrigerator", "", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
"""90 columns by COCO's own numbers, the first is number 1; empty where a number was never used."""

IN_A_ROW = tuple(label for label in BY_NUMBER if label)
"""The 80 classes without the gaps."""


def name_columns(count: int) -> tuple[str, ...] | None:
    """Labels of so many score columns where only COCO has that many; None for other counts."""
    return {len(BY_NUMBER): BY_NUMBER, len(IN_A_ROW): IN_A_ROW}.get(count)
