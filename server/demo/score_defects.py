"""How well a defect model does on boards whose truth is known.

The model is a function from a float32 1x3x240x320 tensor to logits 1x3x240x320, so the same score
serves every runtime, and the trainer before there is a runtime at all.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.metrics import ConfusionMatrix
from server.demo.boards import CLASSES, HEIGHT, MM_PER_PX, WIDTH, Board
from server.demo.flaws import Mask, Picture

INPUT_SIZE = (320, 240)  # width, height of the tensor
# A smaller region of one class is dust or noise; a larger one fails the board.
FAIL_ABOVE_MM2 = 1.5

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Score:
    """Figures over a set of boards; `mean_iou` is over the defects, without the background."""

    boards: int
    iou: dict[str, float]
    mean_iou: float
    verdicts_right: int

    def __str__(self) -> str:
        """One line for the console."""
        iou = ", ".join(f"{name} {value:.3f}" for name, value in self.iou.items())
        verdicts = f"verdicts right {self.verdicts_right} of {self.boards}"
        return f"mean IoU {self.mean_iou:.3f} ({iou}), {verdicts}"


def to_tensor(image: Picture) -> NDArray[np.float32]:
    """BGR uint8 HxWx3 to the RGB float32 1x3x240x320 in 0-1 that the model takes."""
    small = cv2.resize(image, INPUT_SIZE, interpolation=cv2.INTER_LINEAR)
    planes = small[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    return np.ascontiguousarray(planes) / np.float32(255)


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
    pixels = ConfusionMatrix(len(CLASSES))
    right = total = 0
    for board in boards:
        guess = predict(to_tensor(board.image))[0].argmax(0).astype(np.uint8)
        pixels.add(shrink_mask(board.mask), guess)
        right += (largest_mm2(guess) > FAIL_ABOVE_MM2) == bool(board.mask.any())
        total += 1
    iou = dict(zip(CLASSES[1:], pixels.iou()[1:].tolist(), strict=True))
    return Score(total, iou, pixels.mean_iou(background=0), right)


def _largest_px(region: NDArray[np.bool_]) -> int:
    stats = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)[2]
    return int(stats[1:, cv2.CC_STAT_AREA].max(initial=0))
