"""What no view could understand is refused before one is chosen, in the caller's language."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory
from pytest_django import Settings

from server.lib.requests import address_of

pytestmark = pytest.mark.django_db
DOORS = ("api/v1/devices", "device/v1/goal", "devices/")
BROKEN = [
    ("/{}%00", {}, 404, "U+0000"),
    ("/{}%ff", {}, 404, "nothing"),
    ("/{}?a=%00", {}, 400, "U+0000"),
    ("/{}?a=%ED%A0%80", {}, 400, "UTF-8"),
    ("/{}", {"Cookie": r'sessionid="\000aaaaaaaa"'}, 400, "cookie"),
    ("/{}", {"Content-Type": "text/plain; charset=hex"}, 415, "UTF-8"),
    ("/{}", {"Content-Encoding": "gzip"}, 415, "uncompressed"),
    ("/{}", {"Content-Length": "9" * 5000}, 400, "Content-Length"),
    ("/{}", {"Content-Length": "-1"}, 400, "Content-Length"),
]


@pytest.mark.parametrize(("address", "headers", "status", "word"), BROKEN)
def test_what_cannot_be_understood_is_refused_in_words(
    client: Client, address: str, headers: dict[str, str], status: int, word: str
) -> None:
    for door in DOORS:
        answer = client.get(address.format(door), headers=headers)
        assert answer.status_code == status
        assert word in answer.content.decode()
        kind = "text/html" if door == "devices/" else "application/problem+json"
        assert answer["Content-Type"].startswith(kind)
        assert "frame-ancestors" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("door", ["api/v1/devices", "devices/"])
def test_a_host_that_is_another_is_refused_in_words(client: Client, door: str) -> None:
    answer = client.get(f"/{door}", headers={"Host": "elsewhere.example"})
    assert answer.status_code == 400
    assert "Host" in answer.content.decode()


def test_a_page_that_takes_no_such_verb_says_which_it_takes(client: Client) -> None:
    answer = client.delete("/devices/")
    assert (answer.status_code, answer["Allow"]) == (405, "GET")
    assert "Use GET here." in answer.content.decode()


def test_a_query_of_too_many_words_is_413(client: Client) -> None:
    query = "&".join(f"a{number}=1" for number in range(300))
    answer = client.get(f"/api/v1/devices?{query}")
    assert answer.status_code in (401, 413)
    assert client.get(f"/sign-in/?{query}").status_code == 413


@pytest.mark.parametrize(
    ("proxies", "told", "address"),
    [
        (0, "", "10.0.0.1"),
        (0, "1.1.1.1", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1,10.0.0.2", "1.1.1.1"),
        (2, "1.1.1.1", "1.1.1.1"),
        (1, ",", "10.0.0.1"),
        (1, "x" * 9000, "x" * 64),
    ],
)
def test_an_address_is_what_our_own_proxies_say_and_no_stranger(
    settings: Settings, proxies: int, told: str, address: str
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"proxies": proxies})
    headers = {"HTTP_X_FORWARDED_FOR": told} if told else {}
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", **headers)
    assert address_of(request) == address
