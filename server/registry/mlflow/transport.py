"""Requests to the one MLflow server that the operator named: bounded, patient, never redirected."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests
from django.conf import settings

from server.lib.errors import Invalid, Unavailable

TIMEOUT_S = (10.0, 60.0)
MAX_JSON_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
PAUSES_S = (1.0, 4.0)
"""Between the tries of one request; the last failure is told."""

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Broken(Exception):
    """The line broke, or the server is not well: the same request may succeed."""


class Transport:
    """GET and nothing else, below the configured address and nowhere else."""

    def __init__(self, base: str, token: str | None, ca: Path | None = None) -> None:
        self._base = base.rstrip("/")
        self._session = requests.Session()
        # Neither a proxy nor a netrc of the host decides where the token goes.
        self._session.trust_env = False
        self._session.verify = str(ca) if ca else True
        # A range counts bytes as they are stored.
        self._session.headers["Accept-Encoding"] = "identity"
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def get_json(self, path: str, /, **query: str) -> dict[str, Any]:
        """The JSON object at ``path``; Invalid for a refusal, Unavailable after the last try."""
        text = retried(lambda: self._read(path, query, MAX_JSON_BYTES))
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Invalid(
                f"{self._base}{path} does not answer as MLflow does; look at its address."
            )
        return answer

    def get_bytes(self, path: str, max_bytes: int) -> bytes:
        """A small file, whole."""
        return retried(lambda: self._read(path, {}, max_bytes))

    @contextmanager
    def stream(self, path: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        """An answer whose body is still to be read. Raises Broken where the line breaks."""
        with self._opened(path, {}, headers) as response:
            yield response

    def _read(self, path: str, query: dict[str, str], max_bytes: int) -> bytes:
        with self._opened(path, query, {}) as response:
            parts, length = [], 0
            for part in response.iter_content(CHUNK_BYTES):
                length += len(part)
                if length > max_bytes:
                    raise Invalid(f"What MLflow has at {path} is larger than {max_bytes} bytes.")
                parts.append(part)
            return b"".join(parts)

    @contextmanager
    def _opened(
        self, path: str, query: dict[str, str], headers: dict[str, str]
    ) -> Iterator[requests.Response]:
        try:
            with self._session.get(
                f"{self._base}{path}",
                params=query,
                headers=headers,
                timeout=TIMEOUT_S,
                stream=True,
                allow_redirects=False,
            ) as response:
                _require_answer(response)
                yield response
        except requests.RequestException as error:
            raise Broken(f"{self._base} cannot be reached: {type(error).__name__}") from error


def connect() -> Transport:
    """To the server in ``LINEWARDEN_MLFLOW_URL``; Invalid where there is none."""
    if not settings.ENV.mlflow_url:
        raise Invalid(
            "No MLflow server is configured here. Its operator sets LINEWARDEN_MLFLOW_URL, and "
            "LINEWARDEN_MLFLOW_TOKEN where it asks for one."
        )
    token = settings.ENV.mlflow_token
    secret = token.get_secret_value() if token else None
    return Transport(settings.ENV.mlflow_url, secret, settings.ENV.mlflow_ca)


def retried(work: Callable[[], T]) -> T:
    """What ``work`` gives, after pauses where the line breaks; Unavailable after the last."""
    for pause_s in (*PAUSES_S, None):
        given, broken = _attempt(work)
        if broken is None:
            break
        if pause_s is None:
            raise Unavailable(f"The MLflow server is away: {broken}. Try again later.")
        logger.warning("%s; trying again in %s s", broken, pause_s)
        time.sleep(pause_s)
    return given[0]


def _attempt(work: Callable[[], T]) -> tuple[list[T], Broken | None]:
    try:
        return [work()], None
    except Broken as error:
        return [], error


def _require_answer(response: requests.Response) -> None:
    """Pass what has a body to read; say of the rest whose fault it is."""
    status = response.status_code
    if status in (200, 206, 416):
        return
    if status >= 500 or status == 429:
        raise Broken(f"it answers {status}")
    if status in (401, 403):
        raise Invalid(
            f"The MLflow server answers {status}: the token in LINEWARDEN_MLFLOW_TOKEN is absent, "
            "wrong, or may not read this."
        )
    if 300 <= status < 400:
        raise Invalid(
            "The MLflow server sends elsewhere, and nobody is followed there: put the address that "
            "it leads to into LINEWARDEN_MLFLOW_URL."
        )
    raise Invalid(f"The MLflow server refuses: {_told(response) or f'it answers {status}'}")


def _told(response: requests.Response) -> str:
    """The sentence of an error of MLflow; empty where it sends none."""
    try:
        message = json.loads(response.raw.read(64 * 1024)).get("message", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return "".join(c if c.isprintable() else " " for c in str(message)[:300])
