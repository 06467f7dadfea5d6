"""Lists refuse what they do not know: a mistyped filter would filter nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from server.accounts.models import Role
from server.fleet.models import Line

pytestmark = pytest.mark.django_db
Somebody = Callable[..., APIClient]


def cursor(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize("place", ["p=yesterday", "p=", "r=1&p=%5B%5D", "o=9&p=~"])
@pytest.mark.parametrize("address", ["models", "imports", "lines"])
def test_a_cursor_that_no_list_gave_is_refused_or_leads_nowhere(
    somebody: Somebody, address: str, place: str
) -> None:
    answer = somebody(Role.VIEWER).get(f"/api/v1/{address}", {"cursor": cursor(place)})
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert "cursor" in answer.json()["detail"]


def test_a_cursor_of_another_list_is_refused(somebody: Somebody, line: Line) -> None:
    answer = somebody(Role.VIEWER).get("/api/v1/lines", {"cursor": cursor("p=yesterday")})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_a_cursor_that_is_no_cursor_is_refused(somebody: Somebody) -> None:
    answer = somebody(Role.VIEWER).get("/api/v1/lines", {"cursor": "ü%%"})
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("told", ["", "0", "-1", "ten", "9" * 40, "٣"])
def test_a_page_size_that_is_none_is_refused(somebody: Somebody, told: str) -> None:
    answer = somebody(Role.VIEWER).get("/api/v1/lines", {"page_size": told})
    assert answer.status_code == 422
    assert "from 1 to 500" in answer.json()["detail"]


def test_a_page_is_never_larger_than_500_rows(somebody: Somebody, line: Line) -> None:
    assert somebody(Role.VIEWER).get("/api/v1/lines?page_size=100000").status_code == 200


def test_a_mistyped_parameter_is_refused_and_the_known_ones_are_named(somebody: Somebody) -> None:
    answer = somebody(Role.VIEWER).get("/api/v1/devices?sight=works")
    assert answer.status_code == 422
    assert "'sight'" in answer.json()["detail"]
    assert "site, state" in answer.json()["detail"]


def test_a_mistyped_field_is_refused_and_the_known_ones_are_named(somebody: Somebody) -> None:
    body = {"a": {"model": "m", "version": "1"}, "b": {"model": "m", "version": "2"}, "datset": 1}
    answer = somebody(Role.RELEASER).post("/api/v1/comparisons", body)
    assert answer.status_code == 422
    assert "a, b, dataset" in str(answer.json()["errors"]["datset"])
