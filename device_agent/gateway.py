"""The server as the agent sees it: one method a call, problems decoded into our two errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import requests
import urllib3
from pydantic import ValidationError

from device_agent.config import Config
from device_agent.errors import Rejected, Unavailable
from device_agent.identity import Identity
from device_agent.remote_files import LATER, read_pieces
from inference_core.contract.base import Message
from inference_core.contract.device import (
    REPORT_HEADER,
    CertificateReply,
    CertificateRequest,
    EnrolmentReply,
    EnrolmentRequest,
    Goal,
    Progress,
    ProgressReply,
    Report,
    TokenReply,
    TokenRequest,
)
from inference_core.contract.telemetry import Batch, BatchReply, LogsMeta, SampleMeta

POLL_HEADER = "Linewarden-Poll"
MAX_REPLY_BYTES = 4 * 1024 * 1024
_RENEW_BEFORE_S = 60.0

_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True)
class GoalAnswer:
    """``goal`` is None when it is unchanged. ``poll_s`` is the pace that the server wants."""

    goal: Goal | None
    etag: str | None
    poll_s: float | None


@dataclass(frozen=True)
class ProgressAnswer:
    """What became of a progress report, and the deployment as the server has it."""

    outcome: Literal["accepted", "stale", "closed"]
    reply: ProgressReply


class Gateway:
    """One connection to the server; not for several threads.

    Every call raises ``Unavailable`` (later) or ``Rejected`` (never again as it is).
    ``on_server_time`` hears the server's clock whenever a token is renewed.
    """

    def __init__(
        self,
        config: Config,
        identity: Identity,
        on_server_time: Callable[[datetime], None] = lambda _: None,
    ) -> None:
        self._config, self._identity, self._on_server_time = config, identity, on_server_time
        self._url = config.device_url
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"  # ranges count stored bytes
        if config.ca_file:
            self._session.verify = str(config.ca_file)
        self._clock_offset_s = 0.0
        self._token: str | None = None
        self._token_ends_at = 0.0

    def enrol(self, request: EnrolmentRequest) -> EnrolmentReply:
        """Hand in the token and the public key; repeating it with the same key is harmless."""
        body = self._send("POST", "/enrol", request.to_json(), token=None)
        return self._parse(EnrolmentReply, body[1])

    def goal(self, report: Report, etag: str | None) -> GoalAnswer:
        """Ask what this device should run."""
        headers = {REPORT_HEADER: report.to_json().decode()}
        if etag:
            headers["If-None-Match"] = etag
        response, content = self._call("GET", "/goal", headers=headers, also=(304,))
        unchanged = response.status_code == 304
        return GoalAnswer(
            goal=None if unchanged else self._parse(Goal, content),
            etag=response.headers.get("ETag") or etag,
            poll_s=_seconds(response.headers.get(POLL_HEADER)),
        )

    def report_progress(self, deployment_id: UUID, progress: Progress) -> ProgressAnswer:
        """Tell how far a deployment is."""
        path = f"/deployments/{deployment_id}"
        response, content = self._call("PATCH", path, progress.to_json(), also=(409, 410))
        outcomes: dict[int, Literal["stale", "closed"]] = {409: "stale", 410: "closed"}
        reply = self._parse(ProgressReply, content)
        return ProgressAnswer(outcomes.get(response.status_code, "accepted"), reply)

    def send_telemetry(self, batch: Batch) -> BatchReply:
        """Deliver a batch; what is not acknowledged is still ours to keep.

        A server that has been restored from a backup acknowledges less than it did before.
        """
        _, content = self._call("POST", "/telemetry", batch.to_json(), also=(409,))
        return self._parse(BatchReply, content)

    def send_sample(self, meta: SampleMeta, image: bytes) -> None:
        """Deliver a sampled frame; a repeat is free."""
        files = {
            "meta": (None, meta.to_json(), "application/json"),
            "image": (f"{meta.sha256}.jpg", image, "image/jpeg"),
        }
        self._call("POST", "/samples", files=files)

    def send_logs(self, meta: LogsMeta, bundle: bytes) -> None:
        """Deliver a log bundle; a repeat is free. ``Rejected``: nobody waits for it any more."""
        files = {
            "meta": (None, meta.to_json(), "application/json"),
            "bundle": (f"{meta.request}.zip", bundle, "application/zip"),
        }
        self._call("POST", "/logs", files=files)

    def renew_certificate(self, request: CertificateRequest) -> CertificateReply:
        """Have the device's key certified for the broker, for some days."""
        _, content = self._call("POST", "/certificate", request.to_json())
        return self._parse(CertificateReply, content)

    @contextmanager
    def open_file(self, path: str, *, offset: int = 0) -> Iterator[requests.Response]:
        """Stream ``/tuf/…`` from ``offset``; the response may be 200 (whole), 206 or any 4xx."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        for renewed in (False, True):
            with self._exchange(
                "GET", f"/tuf/{path}", token=self._access_token(renew=renewed), headers=headers
            ) as response:
                if response.status_code == 401 and not renewed:
                    continue
                if response.status_code in LATER:
                    raise _problem(response, _read(response))
                yield response
                return

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        also: tuple[int, ...] = (),
        **options: Any,
    ) -> tuple[requests.Response, bytes]:
        """Send with a token, which is renewed once when the server no longer takes it."""
        answer = self._send(method, path, body, token=self._access_token(), also=also, **options)
        if answer[0].status_code == 401:
            token = self._access_token(renew=True)
            answer = self._send(method, path, body, token=token, also=also, **options)
            if answer[0].status_code == 401:
                raise _problem(*answer)
        return answer

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        token: str | None,
        also: tuple[int, ...] = (),
        headers: Mapping[str, str] | None = None,
        files: Any = None,
    ) -> tuple[requests.Response, bytes]:
        headers = dict(headers or {})
        if body is not None:
            headers["Content-Type"] = "application/json"
        with self._exchange(
            method, path, token=token, headers=headers, data=body, files=files
        ) as response:
            content = _read(response)
        may_renew = token is not None and response.status_code == 401
        if response.ok or response.status_code in also or may_renew:
            return response, content
        raise _problem(response, content)

    @contextmanager
    def _exchange(
        self, method: str, path: str, *, token: str | None, **options: Any
    ) -> Iterator[requests.Response]:
        timeout_s = self._config.request_timeout_s
        try:
            with self._session.request(
                method,
                self._url + path,
                auth=_Bearer(token),
                timeout=(timeout_s, timeout_s),
                stream=True,
                allow_redirects=False,  # a redirect must not carry the token elsewhere
                **options,
            ) as response:
                yield response
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise Unavailable(f"cannot reach {self._config.server_url}: {error}") from error

    def _access_token(self, *, renew: bool = False) -> str:
        if self._token is None or renew or time.monotonic() > self._token_ends_at:
            self._token = None
            enrolment = self._identity.enrolment
            if enrolment is None:
                raise Rejected("this device is not enrolled: run `linewarden-agent enrol`")
            reply = self._exchange_assertion(enrolment.device_id)
            self._token = reply.access_token
            self._token_ends_at = time.monotonic() + max(5.0, reply.expires_in_s - _RENEW_BEFORE_S)
            self._on_server_time(reply.server_time)
        return self._token

    def _exchange_assertion(self, device_id: UUID) -> TokenReply:
        """A box without a battery wakes in 1970: it then signs by the server's clock.

        That clock is good for nothing else; updates stay frozen until this device's own is right.
        """
        for is_last in (False, True):
            assertion = self._identity.assertion(
                device_id, f"{self._url}/token", clock_offset_s=self._clock_offset_s
            )
            body = TokenRequest(assertion=assertion).to_json()
            try:
                _, content = self._send("POST", "/token", body, token=None)
                break
            except Rejected as error:
                if is_last or error.server_time is None:
                    raise
                self._clock_offset_s = error.server_time.timestamp() - time.time()
        return self._parse(TokenReply, content)

    def _parse(self, message: type[_M], content: bytes) -> _M:
        try:
            return message.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise Unavailable(
                f"{self._config.server_url} did not answer with a {message.__name__}: "
                f"{'.'.join(map(str, first['loc']))} {first['msg']}"
            ) from error


class _Bearer(requests.auth.AuthBase):
    """Given on every call, also without a token: else requests would consult ``~/.netrc``."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _read(response: requests.Response) -> bytes:
    content = bytearray()
    for piece in read_pieces(response):
        content += piece
        if len(content) > MAX_REPLY_BYTES:
            raise Unavailable(f"the server's answer exceeds {MAX_REPLY_BYTES} bytes")
    return bytes(content)


class _ProblemDocument(Message):
    """RFC 9457, with the one extension that the agent acts on."""

    title: str = ""
    detail: str = ""
    server_time: datetime | None = None


def _problem(response: requests.Response, content: bytes) -> Rejected | Unavailable:
    """The error that an answer stands for; a foreign body is quoted by its status only."""
    try:
        document = _ProblemDocument.model_validate_json(content)
    except ValidationError:
        document = _ProblemDocument()
    detail = (document.detail or document.title)[:500]
    sentence = f"the server answered {response.status_code}: {detail or response.reason}"
    if response.status_code in LATER:
        return Unavailable(sentence, delay_s=_retry_after(response.headers.get("Retry-After")))
    return Rejected(sentence, status=response.status_code, server_time=document.server_time)


def _retry_after(text: str | None) -> float | None:
    """Seconds, from either form of RFC 9110 section 10.2.3; at most an hour."""
    seconds = _seconds(text)
    if seconds is None and text:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (moment - datetime.now(timezone.utc)).total_seconds()
    return None if seconds is None else min(3600.0, max(0.0, seconds))


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text) if text else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < 86_400 else None
