"""Sample boards: the same seed tells the same truth, and nobody learns from what judges."""

import dataclasses
import json
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference_core.datasets.folder import read_dataset
from server.demo.board_sets import (
    CALIBRATION,
    GOLDEN,
    TRAIN,
    BoardSet,
    live_set,
    write_boards,
    write_markings,
)
from server.demo.boards import CLASSES, FLAW_CYCLE, MARKING, Flaws, crop_marking, render_board

ONE_OF_EACH = range(2_000_000, 2_000_000 + len(FLAW_CYCLE))


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = render_board(5), render_board(5)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.mask.tobytes() == second.mask.tobytes()
    assert first.light == second.light


def test_another_seed_gives_another_picture() -> None:
    assert render_board(0).image.tobytes() != render_board(8).image.tobytes()


def test_a_board_cannot_be_changed_after_it_is_drawn() -> None:
    board = render_board(0)
    with pytest.raises(ValueError, match="read-only"):
        board.image[0, 0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        board.verdict = "fail"  # type: ignore[misc]


@pytest.mark.parametrize("seed", ONE_OF_EACH)
@pytest.mark.parametrize("evening", [False, True])
def test_mask_and_marking_agree_with_the_verdict(seed: int, evening: bool) -> None:
    board = render_board(seed, evening=evening)
    at_fault = bool(board.mask.any()) or board.marking != MARKING
    assert board.verdict == ("fail" if at_fault else "pass")


def test_the_mask_shows_what_was_asked_for_and_nothing_else() -> None:
    for flaws, classes in (
        (Flaws(), {0}),
        (Flaws(scratches=2), {0, CLASSES.index("scratch")}),
        (Flaws(missing_metal=2), {0, CLASSES.index("missing_metal")}),
        (Flaws(rubbed_out=True), {0}),
    ):
        assert set(np.unique(render_board(11, flaws).mask).tolist()) == classes


def test_no_board_is_in_two_sets() -> None:
    sets = [TRAIN, CALIBRATION, GOLDEN, live_set(0), live_set(1), live_set(999)]
    for one, other in combinations(sets, 2):
        assert not set(one.seeds) & set(other.seeds), (one.name, other.name)


def test_every_set_shows_every_kind_of_board() -> None:
    for boards in (CALIBRATION, GOLDEN, live_set(0)):
        assert {seed % len(FLAW_CYCLE) for seed in boards.seeds} == set(range(len(FLAW_CYCLE)))


def test_only_live_cameras_see_the_evening() -> None:
    for boards in (TRAIN, CALIBRATION, GOLDEN):
        assert not any(boards.in_evening(index) for index in range(len(boards.seeds)))
    evenings = [live_set(0).in_evening(index) for index in range(24)]
    assert sum(evenings) == 8


def test_evening_boards_are_good_and_bad_ones() -> None:
    boards = live_set(3)
    seeds = [seed for index, seed in enumerate(boards.seeds) if boards.in_evening(index)]
    assert {FLAW_CYCLE[seed % len(FLAW_CYCLE)].verdict for seed in seeds} == {"pass", "fail"}


def test_a_device_beyond_the_last_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="device 1000"):
        live_set(1000)


def test_a_folder_of_boards_is_a_dataset(tmp_path: Path) -> None:
    boards = BoardSet("some", ONE_OF_EACH, evening_every=4)
    assert write_boards(boards, tmp_path) == len(FLAW_CYCLE)
    samples = read_dataset(tmp_path).samples
    for sample, (name, board) in zip(samples, boards.boards(), strict=True):
        assert sample.image.stem == name
        assert (sample.text, sample.verdict) == (board.marking, board.verdict)
        assert sample.mask is not None
        kept = cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(kept, board.mask)


def test_a_folder_of_markings_holds_one_crop_a_board(tmp_path: Path) -> None:
    assert write_markings(BoardSet("some", ONE_OF_EACH), tmp_path) == len(FLAW_CYCLE)
    rows = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert {row["text"] for row in rows} == {MARKING, ""}
    shape = crop_marking(render_board(0).image).shape
    assert {cv2.imread(str(tmp_path / row["image"])).shape for row in rows} == {shape}


def test_the_marking_region_fits_the_recogniser_at_its_full_height() -> None:
    height, width, _ = crop_marking(render_board(0).image).shape
    assert width * 48 / height <= 192
