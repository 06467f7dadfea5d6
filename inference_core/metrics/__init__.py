"""Task metrics: accuracy, mAP, mIoU, AUROC, text, counting; any of them by slices."""

from inference_core.metrics.classification import recall_by_class, top_k_accuracy
from inference_core.metrics.counting import CountingError, measure_counting
from inference_core.metrics.detection import DetectionFigures, DetectionPicture, measure_detection
from inference_core.metrics.ranking import auroc
from inference_core.metrics.segmentation import ConfusionMatrix
from inference_core.metrics.slices import MIN_SLICE_IMAGES, SliceFigure, measure_slices
from inference_core.metrics.text import character_accuracy, edit_distance
from inference_core.metrics.text_boxes import TextBoxCounts, count_text_boxes, measure_text_boxes

__all__ = [
    "MIN_SLICE_IMAGES",
    "ConfusionMatrix",
    "CountingError",
    "DetectionFigures",
    "DetectionPicture",
    "SliceFigure",
    "TextBoxCounts",
    "auroc",
    "character_accuracy",
    "count_text_boxes",
    "edit_distance",
    "measure_counting",
    "measure_detection",
    "measure_slices",
    "measure_text_boxes",
    "recall_by_class",
    "top_k_accuracy",
]
