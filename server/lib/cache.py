"""The cache, which may be away with Redis or its disk: then nothing is known, nothing kept.

What lies in a cache is never the truth here, so nobody is refused a page for want of one. Who has
to know that something was written, such as an epoch that forbids old answers, uses ``CERTAIN``.
"""

from __future__ import annotations

import functools
import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import RedisError

CERTAIN = "certain"
"""The name of the same cache without patience: what cannot be done raises ``CACHE_IS_DOWN``."""

CACHE_IS_DOWN = (OSError, RedisError)
PAUSE_S = 5.0
"""After a failure nobody asks for so long: each question to a host that is gone takes a while."""

logger = logging.getLogger(__name__)


class PlainSerializer:
    """Values as JSON: whoever can write into Redis must not be able to run code here."""

    def dumps(self, value: Any) -> bytes:
        """ValueError or TypeError for what JSON cannot hold."""
        return json.dumps(value, allow_nan=False).encode()

    def loads(self, data: Any) -> Any:
        """As it was, but for tuples, which come back as lists."""
        return json.loads(data)


class Outage:
    """What a process knows of its cache; Django makes a client for each thread."""

    def __init__(self) -> None:
        self._until_s = 0.0
        self._is_told = False

    @property
    def is_on(self) -> bool:
        """Whether it is too early to ask again."""
        return time.monotonic() < self._until_s

    def begin(self, error: Exception) -> None:
        """It did not answer."""
        self._until_s = time.monotonic() + PAUSE_S
        if not self._is_told:  # once, however often it is asked in vain
            logger.warning("the cache does not answer, so nothing is kept in it: %s", error)
        self._is_told = True

    def end(self) -> None:
        """It answered."""
        if self._is_told:
            logger.warning("the cache answers again")
        self._is_told = False


_outages: defaultdict[str, Outage] = defaultdict(Outage)


def _patient(method: Callable[..., Any], without: Callable[..., Any]) -> Callable[..., Any]:
    """``method``; what ``without`` gives for the same arguments while the cache is away."""

    @functools.wraps(method)
    def attempt(cache: PatientClient | PatientFileCache, *arguments: Any, **options: Any) -> Any:
        if cache.outage.is_on:
            return without(*arguments, **options)
        try:
            answer = method(cache, *arguments, **options)
        except CACHE_IS_DOWN as error:
            cache.outage.begin(error)
            return without(*arguments, **options)
        cache.outage.end()
        return answer

    return attempt


class PatientClient(RedisCacheClient):
    """Without Redis each read finds nothing and each write is forgotten; the log tells it once."""

    def __init__(self, servers: list[str], **options: Any) -> None:
        super().__init__(servers, **options)
        self.outage = _outages[servers[0]]

    # True: as far as anybody can know, it was not there.
    add = _patient(RedisCacheClient.add, lambda _key, _value, _timeout: True)
    get = _patient(RedisCacheClient.get, lambda _key, default: default)
    set = _patient(RedisCacheClient.set, lambda _key, _value, _timeout: None)
    touch = _patient(RedisCacheClient.touch, lambda _key, _timeout: False)
    delete = _patient(RedisCacheClient.delete, lambda _key: False)
    get_many = _patient(RedisCacheClient.get_many, lambda _keys: {})
    has_key = _patient(RedisCacheClient.has_key, lambda _key: False)
    set_many = _patient(RedisCacheClient.set_many, lambda _data, _timeout: None)
    delete_many = _patient(RedisCacheClient.delete_many, lambda _keys: None)


class PatientRedisCache(RedisCache):
    """Django's own, with the client above."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = PatientClient


class PatientFileCache(FileBasedCache):
    """The same in files: a full disk costs what would have been kept. ``add`` asks the others."""

    def __init__(self, folder: str, params: dict[str, Any]) -> None:
        super().__init__(folder, params)
        self.outage = _outages[str(folder)]

    get = _patient(FileBasedCache.get, lambda _key, default=None, _version=None, **_: default)
    set = _patient(FileBasedCache.set, lambda *_, **__: None)
    touch = _patient(FileBasedCache.touch, lambda *_, **__: False)
    delete = _patient(FileBasedCache.delete, lambda *_, **__: False)
    has_key = _patient(FileBasedCache.has_key, lambda *_, **__: False)
