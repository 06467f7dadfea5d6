"""What two formats can hold survives the way from one to the other and back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference_core.datasets.formats import FORMATS
from inference_core.datasets.labelled import LabelledObject, LabelledSet
from tests.core.datasets.labelled_sets import (
    LABELS,
    index,
    make_image,
    marked_objects,
    outlined_objects,
    pass_through,
    plain_objects,
    round_object,
)

ROUNDS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Objects = list[LabelledObject]


def go_through(names: list[str], objects: Objects, subset: str = "") -> tuple[Objects, list[str]]:
    """One picture through all the formats in turn."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        image = make_image(folder / "pictures", "a.png", tuple(objects), subset=subset)
        labelled, told = LabelledSet(LABELS, (image,)), []
        for number, name in enumerate(names):
            labelled, lines = pass_through(name, labelled, folder / str(number))
            told += lines
        (found,) = labelled.images
        assert found.subset == subset
        assert (found.width, found.height, found.sha256) == (64, 48, image.sha256)
        return [round_object(one) for one in found.known_objects], told


@ROUNDS
@given(st.lists(marked_objects(), max_size=4))
def test_voc_keeps_whole_boxes_and_their_marks(objects: Objects) -> None:
    found, _ = go_through(["voc", "cvat", "voc"], objects, "valid")

    assert found == objects


@ROUNDS
@given(st.lists(plain_objects(whole=False), max_size=4))
def test_formats_with_fractions_keep_every_box(objects: Objects) -> None:
    found, told = go_through(["yolo", "coco", "cvat", "linewarden", "yolo"], objects, "train")

    assert found == [round_object(one) for one in objects]
    assert [line for line in told if "classes without an object" not in line] == []


@ROUNDS
@given(st.lists(outlined_objects(most_rings=1), min_size=1, max_size=3))
def test_formats_with_outlines_keep_every_polygon(objects: Objects) -> None:
    found, told = go_through(["coco", "yolo", "cvat", "coco"], objects)

    assert found == [round_object(one) for one in objects]
    assert told == []


@ROUNDS
@given(st.lists(outlined_objects(most_rings=3), min_size=1, max_size=3))
def test_objects_in_several_parts_stay_one_object(objects: Objects) -> None:
    found, told = go_through(["coco", "cvat", "coco"], objects)

    assert found == [round_object(one) for one in objects]
    assert told == []


@pytest.mark.parametrize("name", FORMATS)
def test_classes_keep_their_numbers_where_the_format_has_numbers(name: str, tmp_path: Path) -> None:
    one = LabelledObject("zebra", (0, 0, 2, 2))
    other = LabelledObject("ant", (0, 0, 2, 2))
    image = make_image(tmp_path / "p", "a.png", (one, other))

    found, told = pass_through(name, LabelledSet(("zebra", "ant", "gnu"), (image,)), tmp_path / "s")

    if name in {"voc", "linewarden"}:
        assert found.labels == ("ant", "zebra")
        assert told == ("1 classes without an object were left out (first: gnu)",)
    else:
        assert found.labels == ("zebra", "ant", "gnu")


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_of_one_name_in_two_subsets_stay_apart(name: str, tmp_path: Path) -> None:
    boxes = (LabelledObject("apple", (0, 0, 2, 2)), LabelledObject("apple", (1, 1, 9, 9)))
    images = tuple(
        make_image(tmp_path / subset, "a.png", (box,), subset=subset)
        for subset, box in zip(("train", "valid"), boxes, strict=True)
    )

    found, told = pass_through(name, LabelledSet(("apple",), images), tmp_path / "set")

    assert {image.subset: image.known_objects for image in found.images} == {
        "train": (boxes[0],),
        "valid": (boxes[1],),
    }
    assert bool(told) == (name == "voc") or "bytes" in told[0]


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_that_differ_by_their_suffix_only_keep_their_own_labels(
    name: str, tmp_path: Path
) -> None:
    images = tuple(
        make_image(tmp_path / "p", file, (LabelledObject("apple", (0, 0, side, side)),))
        for file, side in (("a.png", 5), ("a.bmp", 9))
    )

    found, _ = pass_through(name, LabelledSet(("apple",), images), tmp_path / "set")

    by_digest = {image.sha256: image.known_objects for image in found.images}
    assert by_digest == {image.sha256: image.known_objects for image in images}


@pytest.mark.parametrize("name", FORMATS)
def test_an_image_where_nothing_is_stays_an_image_where_nothing_is(
    name: str, tmp_path: Path
) -> None:
    full = make_image(tmp_path / "p", "a.png", (LabelledObject("apple", (0, 0, 2, 2)),))
    empty = make_image(tmp_path / "p", "b.png", ())

    found, _ = pass_through(name, LabelledSet(("apple",), (full, empty)), tmp_path / "set")

    assert index(found)["", "b.png"] == ()


@pytest.mark.parametrize("name", FORMATS)
def test_an_image_that_nobody_looked_at_never_becomes_an_empty_one(
    name: str, tmp_path: Path
) -> None:
    """A trainer would learn from it that nothing is there."""
    full = make_image(tmp_path / "p", "a.png", (LabelledObject("apple", (0, 0, 2, 2)),))
    unknown = make_image(tmp_path / "p", "b.png", None)

    found, told = pass_through(name, LabelledSet(("apple",), (full, unknown)), tmp_path / "set")

    if name in {"voc", "linewarden"}:
        assert index(found)["", "b.png"] is None
    else:
        assert list(index(found)) == [("", "a.png")]
        assert any("unknown" in line or "nothing is known" in line for line in told)


def losses() -> dict[str, tuple[Callable[[Path], LabelledSet], str]]:
    ring = ((1.0, 1.0), (9.0, 1.0), (5.0, 8.5))
    box = (1.0, 1.0, 9.0, 8.5)

    def of(one: LabelledObject, **fields: object) -> Callable[[Path], LabelledSet]:
        return lambda folder: LabelledSet(
            ("apple",), (make_image(folder / "p", "a.png", (one,), **fields),)
        )

    return {
        "voc": (of(LabelledObject("apple", box, (ring,))), "1 outlines were left out"),
        "yolo": (
            of(LabelledObject("apple", box, difficult=True)),
            "1 marks of difficult objects were left out (first: a.png)",
        ),
        "coco": (of(LabelledObject("apple", box), text="K7"), "1 texts were left out"),
        "cvat": (
            of(LabelledObject("apple", box, crowd=True)),
            "1 marks of crowds were left out (first: a.png)",
        ),
        "linewarden": (
            of(LabelledObject("apple", box, truncated=True)),
            "1 marks of truncated objects were left out (first: a.png)",
        ),
    }


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_format_cannot_hold_is_told(name: str, tmp_path: Path) -> None:
    make, sentence = losses()[name]

    _, told = pass_through(name, make(tmp_path), tmp_path / "set")

    assert any(sentence in line for line in told), told


def test_voc_tells_how_many_boxes_it_rounded(tmp_path: Path) -> None:
    image = make_image(tmp_path / "p", "a.png", (LabelledObject("apple", (0.4, 1, 5.6, 3)),))

    found, told = pass_through("voc", LabelledSet(("apple",), (image,)), tmp_path / "set")

    assert found.images[0].known_objects[0].xyxy == (0, 1, 6, 3)
    assert told == ("1 boxes were rounded to whole pixels (first: a.png)",)


def test_yolo_turns_boxes_among_outlines_into_outlines_and_tells(tmp_path: Path) -> None:
    ring = ((1.0, 1.0), (9.0, 1.0), (5.0, 8.0))
    objects = (
        LabelledObject("apple", (1, 1, 9, 8), (ring,)),
        LabelledObject("apple", (2, 2, 4, 4)),
    )
    image = make_image(tmp_path / "p", "a.png", objects)

    found, told = pass_through("yolo", LabelledSet(("apple",), (image,)), tmp_path / "set")

    assert [one.xyxy for one in found.images[0].known_objects] == [(1, 1, 9, 8), (2, 2, 4, 4)]
    assert told == ("1 boxes were written as outlines with four corners (first: a.png)",)


def test_what_only_our_format_holds_survives_it(tmp_path: Path) -> None:
    mask = make_image(tmp_path / "m", "mask.png").path
    image = make_image(
        tmp_path / "p",
        "line 1/a b.png",
        None,
        label="good",
        text="K7",
        verdict="pass",
        slices={"light": "evening"},
        mask=mask,
        subset="golden",
    )

    found, told = pass_through("linewarden", LabelledSet((), (image,)), tmp_path / "set")

    (one,) = found.images
    assert (one.name, one.subset) == ("line_1/a_b.png", "golden")
    assert (one.label, one.text, one.verdict) == ("good", "K7", "pass")
    assert one.slices == {"light": "evening"}
    assert one.mask is not None
    assert one.mask.read_bytes() == mask.read_bytes()
    assert told == ("1 pictures were renamed (first: line 1/a b.png to line_1/a_b.png)",)
