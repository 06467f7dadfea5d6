"""Requests to the server and their answers: within limits, in time, and judged before use."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from device_agent.config import Config
from device_agent.errors import Unavailable
from device_agent.problems import problem_of
from device_agent.remote_files import PATIENCE, Patience, new_session, read_patiently, request
from device_agent.web import requests
from inference_core.contract.base import Message

MAX_REPLY_BYTES = 4 * 1024 * 1024

_M = TypeVar("_M", bound=Message)


class Answer(NamedTuple):
    """A response whose body has been read."""

    response: requests.Response
    content: bytes


class Exchange:
    """One connection to the server; not for several threads.

    ``token`` is the access token to show, or None for the two calls that need none.
    """

    def __init__(self, config: Config) -> None:
        self.url = config.device_url
        self._server_url = config.server_url
        self._timeout_s = config.request_timeout_s
        self._patience = Patience(window_s=config.request_timeout_s)
        self._session = new_session()
        # Said with every request: requests lets REQUESTS_CA_BUNDLE outweigh what a session says.
        self._verify = str(config.ca_file) if config.ca_file else True

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None,
        also: tuple[int, ...] = (),
        headers: Mapping[str, str] | None = None,
        files: Any = None,
    ) -> Answer:
        """The answer where it is a success or one of ``also``; else the error it stands for."""
        headers = dict(headers or {})
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        with self.open(
            method, path, token=token, headers=headers, data=body, files=files
        ) as response:
            content = read_body(response, self._patience)
        if response.ok or response.status_code in also:
            return Answer(response, content)
        raise problem_of(response, content)

    def open(
        self, method: str, path: str, *, token: str | None, **options: Any
    ) -> AbstractContextManager[requests.Response]:
        """Stream an answer of any status; see ``request``."""
        return request(
            self._session,
            method,
            self.url + path,
            timeout_s=self._timeout_s,
            failing=f"cannot reach {self._server_url}",
            auth=_Bearer(token),
            verify=self._verify,
            **options,
        )

    def parse(self, message: type[_M], answer: Answer) -> _M:
        """The message that an answer holds; ``Unavailable`` where it holds something else."""
        try:
            return message.model_validate_json(answer.content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise Unavailable(
                f"{self._server_url} did not answer with a {message.__name__}: "
                f"{'.'.join(map(str, first['loc']))} {first['msg']}"
            ) from error

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


def read_body(response: requests.Response, patience: Patience = PATIENCE) -> bytes:
    """All of a body, within the limit and in time.

    A timeout is about one silence; a server that trickles would keep the loop for hours.
    """
    content = bytearray()
    for piece in read_patiently(response, patience):
        content += piece
        if len(content) > MAX_REPLY_BYTES:
            raise Unavailable(f"the server's answer exceeds {MAX_REPLY_BYTES} bytes")
    return bytes(content)


class _Bearer(requests.auth.AuthBase):
    """Given on every call, also without a token: else requests would consult ``~/.netrc``."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request
