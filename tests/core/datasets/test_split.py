"""No picture ever changes sides."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.datasets.labelled import LabelledImage, LabelledSet
from inference_core.datasets.problem import DatasetError
from inference_core.datasets.split import choose_subset, split_set

SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}


def image(number: int, content: int | None = None) -> LabelledImage:
    sha256 = hashlib.sha256(str(number if content is None else content).encode()).hexdigest()
    return LabelledImage(f"{number}.png", Path(f"{number}.png"), sha256, 8, 8)


def subsets(labelled: LabelledSet) -> dict[str, str]:
    return {one.name: one.subset for one in split_set(labelled, SHARES).images}


@given(st.sets(st.integers(0, 10_000), min_size=1), st.sets(st.integers(0, 10_000)))
def test_pictures_added_later_move_none(first: set[int], more: set[int]) -> None:
    before = subsets(LabelledSet((), tuple(image(number) for number in sorted(first))))
    after = subsets(LabelledSet((), tuple(image(number) for number in sorted(first | more))))

    assert {name: after[name] for name in before} == before


def test_equal_bytes_stay_together_under_any_name() -> None:
    twins = LabelledSet((), tuple(image(number, content=1) for number in range(50)))

    assert len(set(subsets(twins).values())) == 1


def test_sizes_come_near_the_shares() -> None:
    found = list(subsets(LabelledSet((), tuple(image(number) for number in range(5000)))).values())

    assert {name: found.count(name) / 5000 for name in SHARES} == pytest.approx(SHARES, abs=0.02)


def test_the_division_is_the_same_on_every_machine_and_for_ever() -> None:
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(12)]

    assert "".join(choose_subset(digest, SHARES)[1] for digest in digests) == "rraraerrrrre"


def test_the_ends_of_the_range_have_a_place() -> None:
    assert choose_subset("0" * 64, SHARES) == "train"
    assert choose_subset("f" * 64, SHARES) == "test"


@pytest.mark.parametrize(
    "shares", [{"train": 1.0}, {"a": 0.5, "b": 0.4}, {"a": 1.2, "b": -0.2}, {"a": 1.0, "b": 0.0}]
)
def test_shares_that_do_not_divide_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(DatasetError, match="add up to 1"):
        split_set(LabelledSet((), (image(1),)), shares)
