"""Makes ``models/board-defects.{fp32,int8}.tflite`` from the demo's ONNX and drawn boards.

LINEWARDEN_LITERT_PYTHON=… python -m tests.core.litert.make_board_models
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from inference_core.contract.words import Precision
from inference_core.datasets import read_dataset
from inference_core.optimize.builders.base import Source
from inference_core.optimize.builders.litert import BUILDER
from inference_core.optimize.feed import Feed
from inference_core.optimize.fold import fold
from server.demo.board_sets import CALIBRATION, write_boards
from tests.core.core_models import MODELS, sample_manifest

OUT = Path(__file__).with_name("models")


def main() -> None:
    manifest = sample_manifest("board-defects")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_boards(CALIBRATION, folder / "calibration")
        fold(MODELS / "board-defects" / "model.onnx", manifest, folder / "folded.onnx")
        feed = Feed(read_dataset(folder / "calibration"), manifest)
        source = Source(folder / "folded.onnx", manifest, feed, "x86_64")
        for precision in (Precision.FP32, Precision.INT8):
            BUILDER.build(source, precision, OUT / f"board-defects.{precision}.tflite")


if __name__ == "__main__":
    main()
