"""A cache in Redis, and what becomes of it without Redis."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.redis import RedisCache
from django.utils.module_loading import import_string

from server.config.environment import Environment
from server.lib import cache
from tests.servers import redis_server

NOWHERE = "redis://127.0.0.1:1/0"


def made_of(environment: Environment, name: str = "default") -> BaseCache:
    """As Django makes it from the settings of a server."""
    params: dict[str, Any] = environment.caches()[name]
    made = import_string(params["BACKEND"])(params["LOCATION"], params)
    assert isinstance(made, BaseCache)
    return made


def cache_at(url: str, name: str = "default") -> RedisCache:
    made = made_of(Environment.model_validate({"redis_url": url}), name)
    assert isinstance(made, RedisCache)
    return made


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with redis_server(tmp_path) as url:
        yield url


@pytest.mark.redis
@pytest.mark.parametrize("value", [0, 7, 0.5, "a goal\n{}", [1.5, 2.5], {"a": 1}, True, None, ""])
def test_plain_values_come_back_as_they_were(redis_url: str, value: object) -> None:
    kept = cache_at(redis_url)
    kept.set("a", value, 60)
    assert kept.get("a", "nothing") == value
    assert kept.get_many(["a", "b"]) == {"a": value}


@pytest.mark.redis
def test_no_more_than_plain_values_is_kept(redis_url: str) -> None:
    with pytest.raises(TypeError):
        cache_at(redis_url).set("a", object(), 60)


@pytest.mark.redis
def test_both_names_are_of_one_cache(redis_url: str) -> None:
    cache_at(redis_url, cache.CERTAIN).set("a", 1, 60)
    assert cache_at(redis_url).get("a") == 1


def test_without_redis_nothing_is_known_and_nothing_is_kept() -> None:
    away = cache_at(NOWHERE)
    for _ in range(2):  # the first finds out, the second knows
        assert away.get("a") is None
        assert away.get("a", 5) == 5
        assert away.get_many(["a", "b"]) == {}
        assert away.add("a", 1, 60) is True
        assert away.has_key("a") is False
        assert away.touch("a", 60) is False
        assert away.delete("a") is False
        away.set("a", 1, 60)
        away.set_many({"a": 1}, 60)
        away.delete_many(["a"])


def test_who_must_be_certain_is_told() -> None:
    with pytest.raises(cache.CACHE_IS_DOWN):
        cache_at(NOWHERE, cache.CERTAIN).set("a", 1, 60)


@pytest.mark.redis
def test_an_outage_is_told_once_and_its_end_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache, "PAUSE_S", -1.0)
    with redis_server(tmp_path) as url:
        kept = cache_at(url)
        kept.set("a", 1, 60)
    port = int(url.rpartition(":")[2].partition("/")[0])
    with caplog.at_level(logging.WARNING, logger="server.lib.cache"):
        assert [kept.get("a") for _ in range(3)] == [None] * 3
        with redis_server(tmp_path, port=port):
            kept.set("a", 2, 60)
            assert kept.get("a") == 2
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "does not answer" in told[0]
    assert "answers again" in told[1]


def test_after_a_failure_nobody_asks_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is gone, and not only its Redis, costs the time-out of each question."""
    asked = []
    monkeypatch.setattr(cache, "_outages", {NOWHERE: cache.Outage()})
    away = cache_at(NOWHERE)
    client = away._cache
    plain = client.get_client
    monkeypatch.setattr(client, "get_client", lambda *a, **k: asked.append(1) or plain(*a, **k))
    for _ in range(5):
        away.get("a")
    assert len(asked) == 1


def test_a_disk_that_takes_nothing_costs_what_would_have_been_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LINEWARDEN_REDIS_URL", raising=False)
    environment = Environment.model_validate({"data": tmp_path})
    away, certain = (made_of(environment, name) for name in ("default", cache.CERTAIN))
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("in the way, also for root")
    for _ in range(2):
        away.set("a", 1, 60)
        assert away.get("a") is None
        assert away.get("a", 5) == 5
        assert away.get("a", default=5) == 5
        assert away.get_many(["a", "b"]) == {}
        assert away.add("a", 1, 60) is True
        assert away.has_key("a") is False
        assert away.delete("a") is False
    with pytest.raises(cache.CACHE_IS_DOWN):
        certain.set("a", 1, 60)


def test_files_keep_what_they_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINEWARDEN_REDIS_URL", raising=False)
    environment = Environment.model_validate({"data": tmp_path})
    kept = made_of(environment)
    assert kept.add("a", 1, 60) is True
    assert kept.add("a", 2, 60) is False
    assert made_of(environment, cache.CERTAIN).get("a") == 1
    kept.set("a", [1.5], timeout=60)
    assert kept.get_many(["a", "b"]) == {"a": [1.5]}
    assert kept.delete("a") is True
