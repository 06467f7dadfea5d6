"""Pictures of circuit boards at incoming inspection, drawn from a seed.

One real photograph (`pictures/board.jpg`) is the surface; flaws, the shake of the camera and the
light are drawn onto it. The same seed gives the same bytes, so nothing but the seed needs keeping.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from server.demo.flaws import Mask, Picture, draw_scratch, remove_metal, rub_out

WIDTH, HEIGHT = 640, 480
MM_PER_PX = 0.2
CLASSES = ("background", "scratch", "missing_metal")
MARKING = "TDA1517P"
# Normalised x, y, w, h of the marking on chip U2: 66x20 px, with air around the letters for a
# camera that shakes. Enlarged to the recogniser's 48 rows it still fits its 192 columns.
MARKING_REGION = (85 / WIDTH, 60 / HEIGHT, 66 / WIDTH, 20 / HEIGHT)

_MARKING_BOX = (88, 64, 148, 76)
_SURFACE = Path(__file__).parent / "pictures" / "board.jpg"


@dataclass(frozen=True)
class Flaws:
    """What is wrong with one board."""

    scratches: int = 0
    missing_metal: int = 0
    rubbed_out: bool = False

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        """What a careful inspector would say."""
        return "fail" if self.scratches or self.missing_metal or self.rubbed_out else "pass"


@dataclass(frozen=True)
class Light:
    """Exposure of one picture: `(picture / 255) ** gamma * gain`, then sensor noise and blur."""

    name: Literal["day", "evening"]
    gain: float
    gamma: float
    noise: float  # standard deviation, grey levels of 255
    blur_px: float


@dataclass(frozen=True)
class Board:
    """One picture and the truth about it.

    `image` is BGR uint8 480x640x3. `mask` is uint8 480x640 with indices into `CLASSES`. `marking`
    is the text that can be read on chip U2, "" where it is rubbed out. Arrays are read-only.
    """

    image: Picture
    mask: Mask
    marking: str
    verdict: Literal["pass", "fail"]
    light: Light


# Consecutive seeds walk through this cycle, so every split of 8 or more shows each kind of board.
FLAW_CYCLE = (
    Flaws(),
    Flaws(scratches=1),
    Flaws(),
    Flaws(missing_metal=1),
    Flaws(),
    Flaws(scratches=2, missing_metal=1),
    Flaws(),
    Flaws(rubbed_out=True),
)


def flaws_of(seed: int) -> Flaws:
    """The flaws that a seed stands for, unless the caller asks for others."""
    return FLAW_CYCLE[seed % len(FLAW_CYCLE)]


def render_board(seed: int, flaws: Flaws | None = None, *, evening: bool = False) -> Board:
    """Draw one board; the same arguments give the same bytes."""
    flaws = flaws_of(seed) if flaws is None else flaws
    rng = np.random.default_rng(seed)
    image, mask = _surface().copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
    _draw_flaws(image, mask, flaws, rng)
    image, mask = _shake(image, mask, rng)
    light = _evening(rng) if evening else _daylight(rng)
    image = _expose(image, light, rng)
    for array in (image, mask):
        array.setflags(write=False)
    return Board(image, mask, "" if flaws.rubbed_out else MARKING, flaws.verdict, light)


def crop_marking(image: Picture, shift_px: tuple[int, int] = (0, 0)) -> Picture:
    """The marking region of a BGR picture, moved by (dx, dy) pixels; a view, not a copy."""
    x, y, w, h = MARKING_REGION
    left, top = round(x * WIDTH) + shift_px[0], round(y * HEIGHT) + shift_px[1]
    return image[top : top + round(h * HEIGHT), left : left + round(w * WIDTH)]


@lru_cache(maxsize=1)
def _surface() -> Picture:
    image = cv2.imread(str(_SURFACE), cv2.IMREAD_COLOR)
    if image is None or image.shape != (HEIGHT, WIDTH, 3):
        raise FileNotFoundError(f"{_SURFACE} is not the {WIDTH}x{HEIGHT} picture of the board")
    return image.astype(np.uint8)


def _draw_flaws(image: Picture, mask: Mask, flaws: Flaws, rng: np.random.Generator) -> None:
    if flaws.rubbed_out:
        rub_out(image, _MARKING_BOX, rng)
    for _ in range(flaws.missing_metal):
        remove_metal(image, mask, rng)
    for _ in range(flaws.scratches):
        draw_scratch(image, mask, rng)


def _shake(image: Picture, mask: Mask, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """Turn and shift a little: the camera hangs over a moving line, and boards sit loosely."""
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), rng.uniform(-0.4, 0.4), 1.0)
    turn[:, 2] = turn[:, 2] + rng.uniform(-2, 2, 2)
    size, edge = (WIDTH, HEIGHT), cv2.BORDER_REFLECT_101
    moved = cv2.warpAffine(image, turn, size, flags=cv2.INTER_LINEAR, borderMode=edge)
    labels = cv2.warpAffine(mask, turn, size, flags=cv2.INTER_NEAREST, borderMode=edge)
    return moved.astype(np.uint8), labels.astype(np.uint8)


def _daylight(rng: np.random.Generator) -> Light:
    gain, gamma = rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.15)
    return Light("day", gain, gamma, rng.uniform(1, 4), rng.uniform(0, 0.6))


def _evening(rng: np.random.Generator) -> Light:
    """The hall lamps are off: little light, little contrast. Only live cameras ever see it."""
    gain, gamma = rng.uniform(0.32, 0.4), rng.uniform(0.95, 1.05)
    return Light("evening", gain, gamma, rng.uniform(0.5, 1.2), rng.uniform(0, 0.5))


def _expose(image: Picture, light: Light, rng: np.random.Generator) -> Picture:
    curve = (np.arange(256) / 255.0) ** light.gamma * light.gain * 255
    lit = curve.astype(np.float32)[image]
    if light.blur_px > 0.2:
        lit = np.asarray(cv2.GaussianBlur(lit, (0, 0), light.blur_px), np.float32)
    noise: NDArray[np.float32] = rng.standard_normal(lit.shape, np.float32) * light.noise
    return np.asarray(np.clip(lit + noise, 0, 255), np.uint8)
