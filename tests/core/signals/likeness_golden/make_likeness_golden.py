"""Asks ImageHash how pictures look: an implementation of the difference hash that is not ours.

Run it in an environment with ImageHash 4.3.2 (BSD-2-Clause):
``python tests/core/signals/likeness_golden/make_likeness_golden.py > likeness.json``.
Its cells are Lanczos-filtered; ``area`` is the same comparison on Pillow's box filter, which
takes the mean of each cell as we do.
"""

from __future__ import annotations

import json
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

PICTURES = Path(__file__).resolve().parents[3] / "samples" / "images"


def main() -> None:
    """One JSON object: the two hashes of each sample picture."""
    golden = {path.name: describe(path) for path in sorted(PICTURES.iterdir())}
    print(json.dumps(golden, indent=1))


def describe(path: Path) -> dict[str, str]:
    """Hexadecimal, row by row, the first bit the highest."""
    picture = Image.open(path).convert("RGB").convert("L")
    cells = np.asarray(picture.resize((9, 8), Image.Resampling.BOX))
    area = imagehash.ImageHash(cells[:, 1:] > cells[:, :-1])
    return {"imagehash": str(imagehash.dhash(picture, hash_size=8)), "area": str(area)}


if __name__ == "__main__":
    main()
