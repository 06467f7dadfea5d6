"""How well a defect model does on boards whose truth is known.

The model is a function from a float32 1x3x240x320 tensor to logits 1x3x240x320, so the same score
serves every runtime, and the trainer before there is a runtime at all.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from server.demo.boards import CLASSES, HEIGHT, MM_PER_PX, WIDTH, Board
from server.demo.flaws import Mask, Picture

INPUT_SIZE = (320, 240)  # width, height of the tensor
# A smaller region of one class is dust or noise; a larger one fails the board.
FAIL_ABOVE_MM2 = 1.5

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Score:
    """Figures over a set of boards; `iou` and `recall` are per class, background left out."""

    boards: int
    iou: dict[str, float]
    recall: dict[str, float]
    verdicts_right: int

    @property
    def mean_iou(self) -> float:
        """Intersection over union, mean over the defect classes."""
        return sum(self.iou.values()) / len(self.iou)

    def __str__(self) -> str:
        """One line for the console."""
        iou = ", ".join(f"{name} {value:.3f}" for name, value in self.iou.items())
        verdicts = f"verdicts right {self.verdicts_right} of {self.boards}"
        return f"mean IoU {self.mean_iou:.3f} ({iou}), {verdicts}"


def to_tensor(image: Picture) -> NDArray[np.float32]:
    """BGR uint8 HxWx3 to the RGB float32 1x3x240x320 in 0-1 that the model takes."""
    small = cv2.resize(image, INPUT_SIZE, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(small[..., ::-1].transpose(2, 0, 1)[None], np.float32) / np.float32(
        255
    )


def shrink_mask(mask: Mask) -> Mask:
    """The truth at the size of the logits; nearest, for there is no class between two classes."""
    return cv2.resize(mask, INPUT_SIZE, interpolation=cv2.INTER_NEAREST).astype(np.uint8)


def largest_mm2(classes: Mask) -> float:
    """Area in mm² of the largest connected region of one defect class, at the logits' size."""
    pixel_mm2 = MM_PER_PX**2 * (WIDTH * HEIGHT) / (INPUT_SIZE[0] * INPUT_SIZE[1])
    return max(_largest_px(classes == index) for index in range(1, len(CLASSES))) * pixel_mm2


def score_logits(predict: Predict, boards: Iterable[Board]) -> Score:
    """Run the model over the boards, one at a time, and compare with the truth.

    The verdict compared is that of the defects alone: a rubbed-out marking is for the text model.
    """
    counts = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    right = total = 0
    for board in boards:
        truth = shrink_mask(board.mask)
        guess = predict(to_tensor(board.image))[0].argmax(0).astype(np.uint8)
        counts += _confusion(truth, guess)
        right += (largest_mm2(guess) > FAIL_ABOVE_MM2) == bool(board.mask.any())
        total += 1
    return _score(counts, right, total)


def _largest_px(region: NDArray[np.bool_]) -> int:
    stats = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)[2]
    return int(stats[1:, cv2.CC_STAT_AREA].max(initial=0))


def _confusion(truth: Mask, guess: Mask) -> NDArray[np.int64]:
    """Pixel counts, truth by row, guess by column."""
    pairs = truth.astype(np.int64) * len(CLASSES) + guess
    flat = np.bincount(pairs.ravel(), minlength=len(CLASSES) ** 2)
    return flat.reshape(len(CLASSES), len(CLASSES)).astype(np.int64)


def _score(counts: NDArray[np.int64], right: int, total: int) -> Score:
    hit, truth, guess = counts.diagonal(), counts.sum(1), counts.sum(0)
    iou = hit / np.maximum(truth + guess - hit, 1)
    recall = hit / np.maximum(truth, 1)
    names = list(enumerate(CLASSES))[1:]
    return Score(
        boards=total,
        iou={name: float(iou[index]) for index, name in names},
        recall={name: float(recall[index]) for index, name in names},
        verdicts_right=right,
    )
