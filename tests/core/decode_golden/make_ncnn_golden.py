"""Asks ncnn's own NanoDet, fed with the outputs of ours, for its boxes in the 416 tensor.

It counts the columns of the grid right only where a picture is wider than high: 384 rows are shown,
and the test leaves out what touches the border.

In an environment with ncnn 1.0.20261020 (BSD-3-Clause), in this folder:
``python make_ncnn_golden.py > ncnn.json``.
"""

from __future__ import annotations

from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
from ncnn.model_zoo import nanodet
from peers import IOU, NANODET_SCORE, PICTURES, answer, read_outputs, write

NAMES = {
    "792": "Identity:0",
    "814": "Identity_1:0",
    "836": "Identity_2:0",
    "795": "Identity_3:0",
    "817": "Identity_4:0",
    "839": "Identity_5:0",
}


def reshape(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Its network has 8 bins a side, ours 11."""
    return np.reshape(array, (-1, 44) if shape == (-1, 32) else shape)


class Asked(nanodet.NanoDet):
    """The decoder with frozen answers in place of a network."""

    def __init__(self, outputs: dict[str, np.ndarray]) -> None:
        self.target_size, self.strides, self.reg_max = 416, [8, 16, 32], 10
        self.mean_vals, self.norm_vals = [0.0] * 3, [1.0] * 3
        self.prob_threshold, self.nms_threshold = NANODET_SCORE, IOU
        self.num_candidate, self.top_k = 4000, -1
        extractor = SimpleNamespace(
            input=lambda *_: 0, extract=lambda name: (0, outputs[NAMES[name]].copy())
        )
        self.net = SimpleNamespace(create_extractor=lambda: extractor)


if __name__ == "__main__":
    nanodet.np = SimpleNamespace(**{**vars(np), "reshape": reshape})
    golden = {}
    for picture in PICTURES:
        found = Asked(read_outputs(picture))(np.zeros((384, 416, 3), np.uint8))
        best = sorted(found, key=lambda one: -one.prob)
        corners = [(b.rect.x, b.rect.y, b.rect.x + b.rect.w, b.rect.y + b.rect.h) for b in best]
        golden[picture] = answer([b.label for b in best], [b.prob for b in best], corners)
    write(f"ncnn {version('ncnn')}", {"nanodet": golden})
