"""Every error has one shape, and says whose fault it is."""

from __future__ import annotations

import io
import json

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions

from inference_core.contract.telemetry import Event
from server.lib.errors import Conflict, DomainError, Invalid, TooLarge, Unavailable
from server.lib.messages import read_data, read_json
from server.lib.parsers import JsonParser
from server.lib.problem import answers_problems, handle_exception


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Conflict("Too late."), 409, "conflict"),
        (Unavailable("Later."), 503, "unavailable"),
        (Http404(), 404, "not_found"),
        (PermissionDenied(), 403, "forbidden"),
        (RequestDataTooBig(), 413, "too_large"),
        (OperationalError("the server closed the connection"), 503, "unavailable"),
        (exceptions.NotAuthenticated(), 401, "not_authenticated"),
        (exceptions.ValidationError({"name": ["wrong"]}), 422, "invalid"),
        (exceptions.Throttled(wait=7), 429, "throttled"),
        (exceptions.ParseError("no JSON"), 400, "parse_error"),
    ],
)
def test_an_error_becomes_a_problem_document(error: Exception, status: int, code: str) -> None:
    answer = handle_exception(error, {})
    assert answer is not None
    assert answer.content_type == "application/problem+json"
    assert (answer.status_code, answer.data["status"], answer.data["code"]) == (
        status,
        status,
        code,
    )
    assert answer.data["title"]
    assert answer.data["detail"]


def test_what_nobody_foresaw_stays_a_server_error() -> None:
    assert handle_exception(KeyError("x"), {}) is None

    @answers_problems
    def view(request: HttpRequest) -> HttpResponse:
        raise KeyError("x")

    with pytest.raises(KeyError):
        view(HttpRequest())


def test_what_comes_again_later_says_when() -> None:
    answer = handle_exception(OperationalError("locked"), {})
    assert answer is not None
    assert int(answer.headers["Retry-After"]) > 0


def test_extra_members_are_beside_the_fixed_ones_and_never_in_their_place() -> None:
    @answers_problems
    def view(request: HttpRequest) -> HttpResponse:
        raise DomainError("No.", acked_seq=7, status=200)

    body = json.loads(view(HttpRequest()).content)  # type: ignore[attr-defined]  # not streamed
    assert (body["acked_seq"], body["status"], body["detail"]) == (7, 400, "No.")


def test_a_wrong_message_is_told_without_its_content() -> None:
    with pytest.raises(Invalid) as caught:
        read_json(Event, b'{"name": "a secret!"}')
    assert caught.value.extra["errors"][0]["path"] == "name"
    assert "secret" not in str(caught.value.extra) + caught.value.detail
    with pytest.raises(Invalid, match="no Event"):
        read_data(Event, [])


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 100_000, b"{", b"\xff", b"NaN", b""])
def test_hostile_json_is_a_parse_error_and_no_crash(body: bytes) -> None:
    with pytest.raises(exceptions.ParseError):
        JsonParser().parse(io.BytesIO(body))


def test_json_above_the_limit_is_not_read_to_its_end() -> None:
    body = io.BytesIO(b" " * 20 * 1024 * 1024)
    with pytest.raises(TooLarge):
        JsonParser().parse(body)
    assert body.tell() < 5 * 1024 * 1024


def test_json_is_decoded() -> None:
    assert JsonParser().parse(io.BytesIO(b'{"a": [1, 2.5, "\xc3\xbc", null]}')) == {
        "a": [1, 2.5, "ü", None]
    }
