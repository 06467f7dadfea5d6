"""One output of finished boxes: YOLOv10, YOLO26, and exports with NMS inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from inference_core.contract.decoders import EndToEndDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.boxes import finish, to_pixels
from inference_core.decode.scores import choose_listed
from inference_core.decode.shapes import decoder_of, read_table
from inference_core.image import Transform
from inference_core.results import Boxes


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Boxes:
    """The rows over their thresholds; the rest is filling. Raises ``DecodeFailed``."""
    decoder = decoder_of(manifest, EndToEndDecoder)
    rows = read_table(
        decoder.output, outputs[decoder.output], 6, why="x0, y0, x1, y1, score, class"
    )
    chosen = choose_listed(rows[:, 4], rows[:, 5], decoder)
    xyxy = to_pixels(rows[chosen.row, :4], "xyxy", decoder.unit, manifest)
    return finish(chosen, xyxy, manifest, transform)
