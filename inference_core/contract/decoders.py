"""How the outputs of a model are to be read: one document for each kind of output.

Boxes and points are in pixels of the input tensor, or in shares of it; a decoder turns them to
pixels of the frame.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Union

from pydantic import Field, StringConstraints, model_validator

from inference_core.contract.base import Document
from inference_core.contract.words import Task

Label = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f]*$")]
"""A class for people: "traffic light". Empty is a column that the model does not use."""

Labels = Annotated[tuple[Label, ...], Field(min_length=1, max_length=25_000)]
Share = Annotated[float, Field(ge=0, le=1)]
OutputName = Annotated[str, Field(min_length=1, max_length=200)]


class _Decoder(Document):
    """What every kind promises."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the outputs that are read; each must be finite."""
        return tuple(
            value
            for name in type(self).model_fields
            if (name == "output" or name.endswith("_output"))
            and (value := getattr(self, name)) is not None
        )


class Calibration(Document):
    """Scores to probabilities: straight lines between knots, as isotonic regression gives them."""

    knots: tuple[tuple[Share, Share], ...] = Field(min_length=2, max_length=200)

    @model_validator(mode="after")
    def _rises(self) -> Calibration:
        for (score, probability), (next_score, next_probability) in pairwise(self.knots):
            if next_score <= score or next_probability < probability:
                raise ValueError("knots must rise: (score, probability), lowest score first")
        return self


class SegmentDecoder(_Decoder):
    """Per-pixel class scores 1×C×H×W to connected regions, measured in the input's pixels."""

    kind: Literal["segment"] = "segment"
    output: OutputName
    labels: Annotated[Labels, Field(min_length=2)]
    background: int = Field(default=0, ge=0)
    activation: Literal["none", "softmax"] = "softmax"
    threshold: Share = 0.5
    min_area_px: int = Field(default=1, ge=1)


class CtcDecoder(_Decoder):
    """Greedy CTC over 1×T×K scores: best path, repeats merged, blanks dropped (Graves 2006)."""

    kind: Literal["ctc"] = "ctc"
    output: OutputName
    alphabet: tuple[str, ...] | None = Field(
        default=None,
        max_length=50_000,
        description="One string per class after the blank; None reads `alphabet_key` of the model.",
    )
    alphabet_key: str | None = Field(
        default=None, description="Key of the ONNX metadata that holds the alphabet, one a line."
    )
    blank: int = Field(default=0, ge=0)
    space_at_end: bool = Field(
        default=False, description="The last class is a space that the alphabet leaves out."
    )
    activation: Literal["none", "softmax"] = "none"

    @model_validator(mode="after")
    def _has_an_alphabet(self) -> CtcDecoder:
        if (self.alphabet is None) == (self.alphabet_key is None):
            raise ValueError("give either alphabet or alphabet_key")
        return self


class ClassifyDecoder(_Decoder):
    """Class scores 1×C (or 1×C×1×1) to the ``top`` likeliest classes."""

    kind: Literal["classify"] = "classify"
    output: OutputName
    labels: Labels
    activation: Literal["none", "softmax", "sigmoid"] = "softmax"
    top: int = Field(default=5, ge=1, le=1000)
    calibration: Calibration | None = None


class _BoxDecoder(_Decoder):
    """What all detectors share: what to keep, and how to merge what overlaps."""

    labels: Labels
    threshold: Share = 0.25
    class_thresholds: dict[str, Share] = Field(
        default_factory=dict, description="By label, where it differs from `threshold`."
    )
    nms_iou: Share = Field(
        default=0.5,
        description="Boxes that overlap more are one; 1: the model has merged them already.",
    )
    merges_across_classes: bool = Field(
        default=False, description="A weaker box of another class is dropped too."
    )
    max_boxes: int = Field(default=300, ge=1, le=1000)
    calibration: Calibration | None = None

    @property
    def merges_boxes(self) -> bool:
        """Whether boxes are left to merge here."""
        return self.nms_iou < 1

    @model_validator(mode="after")
    def _thresholds_have_labels(self) -> _BoxDecoder:
        if unknown := sorted(set(self.class_thresholds) - set(self.labels)):
            raise ValueError(f"class_thresholds names {unknown}, which are not labels")
        return self


class YoloDecoder(_BoxDecoder):
    """One tensor of boxes and scores.

    ``v5``: 1×N×(5+C) of cx, cy, w, h, objectness, classes; a score is their product.
    ``v8`` (also v9, 11, 12): 1×(4+C)×N of cx, cy, w, h, classes.
    """

    kind: Literal["yolo"] = "yolo"
    output: OutputName
    version: Literal["v5", "v8"]
    unit: Literal["pixel", "share"] = "pixel"
    activation: Literal["none", "sigmoid"] = "none"


class EndToEndDecoder(_BoxDecoder):
    """1×N×6 of x1, y1, x2, y2, score, class: YOLOv10, YOLO26, exports with NMS inside."""

    kind: Literal["end_to_end"] = "end_to_end"
    output: OutputName
    unit: Literal["pixel", "share"] = "pixel"
    nms_iou: Share = 1.0


class SsdDecoder(_BoxDecoder):
    """Decoded boxes 1×N×4 and scores 1×N×C in two tensors, before NMS."""

    kind: Literal["ssd"] = "ssd"
    boxes_output: OutputName
    scores_output: OutputName
    box_format: Literal["xyxy", "yxyx", "cxcywh", "xywh"] = "yxyx"
    unit: Literal["pixel", "share"] = "share"
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    background: int | None = Field(
        default=None, ge=0, description="Column of the scores that means nothing is there."
    )


class ListedDecoder(_BoxDecoder):
    """Boxes N×4, scores N and class numbers N in three tensors, with or without a batch of 1.

    As torchvision and TensorFlow's detection exports give them, after NMS.
    """

    kind: Literal["listed"] = "listed"
    boxes_output: OutputName
    scores_output: OutputName
    classes_output: OutputName
    box_format: Literal["xyxy", "yxyx"] = "xyxy"
    unit: Literal["pixel", "share"] = "pixel"
    first_class: int = Field(default=0, ge=0, description="Class number of the first label.")
    nms_iou: Share = 1.0


class DetrDecoder(_BoxDecoder):
    """Boxes 1×Q×4 of cx, cy, w, h in shares and scores 1×Q×C, one object a query, no NMS.

    ``softmax``: the last column is "no object" (DETR). ``sigmoid``: each column on its own
    (Deformable DETR, RT-DETR, RF-DETR).
    """

    kind: Literal["detr"] = "detr"
    boxes_output: OutputName
    scores_output: OutputName
    activation: Literal["none", "sigmoid", "softmax"] = "sigmoid"
    nms_iou: Share = 1.0


class GridHead(Document):
    """Outputs of one stride: scores 1×N×C and side distributions 1×N×(4·bins), row by row."""

    stride: int = Field(ge=1, le=1024)
    scores: OutputName
    sides: OutputName


class GridDecoder(_BoxDecoder):
    """Each side of a box as a distribution over bins (Li et al., Generalized Focal Loss, 2020).

    NanoDet and its kin: distance of a side = expected bin × stride, from the cell's centre.
    """

    kind: Literal["grid"] = "grid"
    heads: tuple[GridHead, ...] = Field(min_length=1, max_length=8)
    activation: Literal["none", "sigmoid"] = "sigmoid"
    centre: float = Field(
        default=0.5, ge=0, le=0.5, description="Where in its cell a place counts from, in cells."
    )

    @property
    def reads(self) -> tuple[str, ...]:
        """The outputs of all heads."""
        return tuple(name for head in self.heads for name in (head.scores, head.sides))


class AnomalyDecoder(_Decoder):
    """A map 1×1×H×W (or 1×H×W) of how unlike the good parts a pixel is, to regions and a score.

    Values are brought to 0…1 by ``(value - low) / (high - low)``. The picture's score is the
    highest value of the map, or ``score_output`` where the model has one.
    """

    kind: Literal["anomaly"] = "anomaly"
    map_output: OutputName
    score_output: OutputName | None = None
    low: float = 0.0
    high: float = 1.0
    threshold: Share = Field(default=0.5, description="Of a pixel, and of the picture.")
    min_area_px: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _has_a_range(self) -> AnomalyDecoder:
        if self.high <= self.low:
            raise ValueError("high must lie above low")
        return self


class TextBoxesDecoder(_Decoder):
    """A text probability map 1×1×H×W to rotated boxes (Liao et al., DB, AAAI 2020)."""

    kind: Literal["text_boxes"] = "text_boxes"
    output: OutputName
    threshold: Share = Field(default=0.3, description="Of a pixel.")
    box_threshold: Share = Field(default=0.6, description="Mean probability inside a box.")
    unclip_ratio: float = Field(default=1.5, ge=0, le=10)
    min_side_px: float = Field(default=3.0, gt=0)
    max_boxes: int = Field(default=1000, ge=1, le=1000)


Decoder = Annotated[
    Union[
        SegmentDecoder,
        CtcDecoder,
        ClassifyDecoder,
        YoloDecoder,
        EndToEndDecoder,
        SsdDecoder,
        ListedDecoder,
        DetrDecoder,
        GridDecoder,
        AnomalyDecoder,
        TextBoxesDecoder,
    ],
    Field(discriminator="kind"),
]
BoxDecoder = YoloDecoder | EndToEndDecoder | SsdDecoder | ListedDecoder | DetrDecoder | GridDecoder

DECODERS_OF_TASK: dict[Task, frozenset[str]] = {
    Task.CLASSIFICATION: frozenset({"classify"}),
    Task.DETECTION: frozenset({"yolo", "end_to_end", "ssd", "listed", "detr", "grid"}),
    Task.SEGMENTATION: frozenset({"segment"}),
    Task.ANOMALY: frozenset({"anomaly"}),
    Task.TEXT_DETECTION: frozenset({"text_boxes"}),
    Task.TEXT_RECOGNITION: frozenset({"ctc"}),
}
