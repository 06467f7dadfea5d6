"""Greedy CTC against its definition, and the alphabet that travels with the manifest."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.contract.decoders import CtcDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.ctc import resolve_alphabet
from inference_core.decode.lookup import decode
from inference_core.errors import BadInput, DecodeFailed, NotFinite
from inference_core.image import Transform
from inference_core.results import TextLines
from tests.core.core_models import reader, segmenter

TRANSFORM = Transform((1.0, 1.0), (0, 0, 32, 16), (10, 20, 32, 16))


def scores_of(path: list[int], classes: int) -> np.ndarray:
    scores = np.full((1, len(path), classes), 0.1, np.float32)
    scores[0, np.arange(len(path)), path] = 0.7
    return scores


def read(scores: np.ndarray, manifest: ModelManifest) -> TextLines:
    lines = decode({"scores": scores}, manifest, TRANSFORM)
    assert isinstance(lines, TextLines)
    return lines


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 3))
def test_repeats_merge_and_blanks_drop(path: list[int], blank: int) -> None:
    lines = read(scores_of(path, 4), reader(len(path), blank=blank))
    characters = [name for name in range(4) if name != blank]
    merged = [name for name, _ in groupby(path) if name != blank]
    expected = "".join("abc"[characters.index(name)] for name in merged)
    assert "".join(lines.text) == expected
    assert len(lines) == (1 if expected else 0)


@given(st.text("abc", max_size=12))
def test_any_text_survives_its_shortest_path(text: str) -> None:
    path = [0]
    for character in text:
        path += ["abc".index(character) + 1, 0]
    lines = read(scores_of(path, 4), reader(len(path)))
    assert "".join(lines.text) == text


def test_the_score_is_the_mean_of_the_characters_alone() -> None:
    scores = scores_of([0, 1, 1, 0, 2, 0], 4)
    scores[0, 1, 1], scores[0, 4, 2] = 0.9, 0.5
    lines = read(scores, reader())
    assert lines.text == ("ab",)
    assert lines.score[0] == pytest.approx(0.7)


def test_the_line_outlines_the_region_that_was_read() -> None:
    (message,) = read(scores_of([1, 0, 0, 0, 0, 0], 4), reader()).to_fields()["lines"]
    assert message.polygon == ((10, 20), (42, 20), (42, 36), (10, 36))


def test_the_alphabet_is_written_out_with_its_space() -> None:
    manifest = reader(alphabet_key="character", alphabet=None, space_at_end=True)
    resolved = resolve_alphabet(manifest, {"character": "a\r\nb\u2028\nc\n"}).decoder
    assert isinstance(resolved, CtcDecoder)
    assert resolved.alphabet == ("a", "b\u2028", "c", " ")
    assert resolved.alphabet_key is None
    assert resolved.space_at_end is False


def test_resolving_twice_changes_nothing_more() -> None:
    once = resolve_alphabet(reader(space_at_end=True), {})
    assert resolve_alphabet(once, {}) == once
    assert resolve_alphabet(segmenter(), {}) == segmenter()
    assert ModelManifest.model_validate_json(once.to_json()) == once


def test_a_model_without_the_key_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadInput, match="give `alphabet` in the manifest"):
        resolve_alphabet(reader(alphabet=None, alphabet_key="character"), {"author": "x"})


def test_an_alphabet_of_another_length_is_refused() -> None:
    with pytest.raises(DecodeFailed, match="1×T×4"):
        read(scores_of([1, 2], 5), reader(2))


def test_an_unresolved_alphabet_is_refused() -> None:
    with pytest.raises(DecodeFailed, match="resolve_alphabet"):
        read(scores_of([1, 2], 4), reader(2, space_at_end=True))


def test_nan_is_not_read_as_text() -> None:
    scores = scores_of([1, 2], 4)
    scores[0, 0, 3] = np.nan
    with pytest.raises(NotFinite):
        read(scores, reader(2))
