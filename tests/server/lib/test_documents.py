"""Foreign JSON is storable everywhere, or refused in words."""

from __future__ import annotations

import json

import pytest

from inference_core.contract.device import Progress
from server.lib import documents
from server.lib.errors import Invalid
from server.lib.messages import read_json


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (rb'{"a": [1, "\u0000"]}', "a.1: .*U[+]0000"),
        (rb'{"a\u0000": 1}', "U[+]0000"),
        (b"[[1e999]]", "64 bits"),
        (b"-1e999", "64 bits"),
        (b'{"a": {"b": 9223372036854775808}}', "a.b: .*64 bits"),
        (b'{"a": ' + b"9" * 400 + b"}", "64 bits"),
    ],
)
def test_what_no_database_stores_is_invalid_and_says_why(body: bytes, word: str) -> None:
    with pytest.raises(Invalid, match=word):
        documents.decode(body)


@pytest.mark.parametrize(
    "body", [b"NaN", b"Infinity", rb'"\ud800"', b'"\xed\xa0\x80"', b"9" * 5000, b"[" * 9000, b""]
)
def test_what_is_no_json_is_an_error_of_values(body: bytes) -> None:
    with pytest.raises(ValueError, match="line 1 column"):
        documents.decode(body)


def test_the_largest_numbers_and_a_backslash_before_u0000_are_taken() -> None:
    document = {"a": [2**63 - 1, 1 - 2**63, 1e308], "b": "\\u0000", "c": None, "d": True}
    assert documents.decode(json.dumps(document)) == document


def test_a_message_with_an_infinite_number_is_refused_and_not_kept_as_null() -> None:
    body = '{"seq": 1, "expected_version": 0, "phase": "staged", "step_deadline_s": 1e999}'
    with pytest.raises(Invalid, match="64 bits"):
        read_json(Progress, body)
