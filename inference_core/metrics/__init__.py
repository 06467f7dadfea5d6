"""Task metrics: mean IoU, character accuracy, exact agreement."""

from inference_core.metrics.segmentation import ConfusionMatrix
from inference_core.metrics.text import character_accuracy, edit_distance

__all__ = ["ConfusionMatrix", "character_accuracy", "edit_distance"]
