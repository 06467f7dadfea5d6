"""The server as the agent sees it: one method a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from device_agent.access import Access
from device_agent.config import Config
from device_agent.exchange import Answer, Exchange, read_body
from device_agent.identity import Identity
from device_agent.problems import problem_of, read_seconds
from device_agent.remote_files import LATER, range_of
from device_agent.web import requests
from inference_core.contract.base import Message
from inference_core.contract.device import (
    REPORT_HEADER,
    CertificateReply,
    CertificateRequest,
    DeviceFacts,
    EnrolmentReply,
    EnrolmentRequest,
    FactsReply,
    Goal,
    Progress,
    ProgressReply,
    Report,
)
from inference_core.contract.telemetry import Batch, BatchReply, LogsMeta, SampleMeta

POLL_HEADER = "Linewarden-Poll"
_UNAUTHORISED = 401


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
        self._exchange = Exchange(config)
        self._access = Access(self._exchange, identity, on_server_time)

    def enrol(self, request: EnrolmentRequest) -> EnrolmentReply:
        """Hand in the token and the public key; repeating it with the same key is harmless."""
        answer = self._exchange.send("POST", "/enrol", request.to_json(), token=None)
        return self._exchange.parse(EnrolmentReply, answer)

    def goal(self, report: Report, etag: str | None) -> GoalAnswer:
        """Ask what this device should run."""
        headers = {REPORT_HEADER: report.to_json().decode()}
        if etag:
            headers["If-None-Match"] = etag
        answer = self._call("GET", "/goal", headers=headers, also=(304,))
        is_unchanged = answer.response.status_code == 304
        return GoalAnswer(
            goal=None if is_unchanged else self._exchange.parse(Goal, answer),
            etag=answer.response.headers.get("ETag") or etag,
            poll_s=read_seconds(answer.response.headers.get(POLL_HEADER)),
        )

    def report_progress(self, deployment_id: UUID, progress: Progress) -> ProgressAnswer:
        """Tell how far a deployment is."""
        path = f"/deployments/{deployment_id}"
        answer = self._call("PATCH", path, progress.to_json(), also=(409, 410))
        outcomes: dict[int, Literal["stale", "closed"]] = {409: "stale", 410: "closed"}
        reply = self._exchange.parse(ProgressReply, answer)
        return ProgressAnswer(outcomes.get(answer.response.status_code, "accepted"), reply)

    def send_facts(self, facts: DeviceFacts) -> FactsReply:
        """Tell what this box is now; a repeat is free."""
        answer = self._call("PUT", "/facts", facts.to_json())
        return self._exchange.parse(FactsReply, answer)

    def send_telemetry(self, batch: Batch) -> BatchReply:
        """Deliver a batch; what is not acknowledged is still ours to keep.

        A server that has been restored from a backup acknowledges less than it did before.
        """
        answer = self._call("POST", "/telemetry", batch.to_json(), also=(409,))
        return self._exchange.parse(BatchReply, answer)

    def send_sample(self, meta: SampleMeta, image: bytes) -> None:
        """Deliver a sampled frame; a repeat is free."""
        file = (f"{meta.sha256}.jpg", image, "image/jpeg")
        self._call("POST", "/samples", files={"meta": _part(meta), "image": file})

    def send_logs(self, meta: LogsMeta, bundle: bytes) -> None:
        """Deliver a log bundle; a repeat is free. ``Rejected``: nobody waits for it any more."""
        file = (f"{meta.request}.zip", bundle, "application/zip")
        self._call("POST", "/logs", files={"meta": _part(meta), "bundle": file})

    def renew_certificate(self, request: CertificateRequest) -> CertificateReply:
        """Have the device's key certified for the broker, for some days."""
        answer = self._call("POST", "/certificate", request.to_json())
        return self._exchange.parse(CertificateReply, answer)

    @contextmanager
    def open_file(
        self, path: str, *, offset: int = 0, end: int | None = None
    ) -> Iterator[requests.Response]:
        """Stream ``/tuf/…``, as ``RemoteFiles`` promises."""
        with self.open_at(f"/tuf/{path}", offset=offset, end=end) as response:
            yield response

    @contextmanager
    def open_at(
        self, address: str, *, offset: int = 0, end: int | None = None
    ) -> Iterator[requests.Response]:
        """Stream what lies at ``address``, as ``open_file`` does."""
        headers = range_of(offset, end)
        for renewed in (False, True):
            token = self._access.token(renew=renewed)
            with self._exchange.open("GET", address, token=token, headers=headers) as response:
                if response.status_code == _UNAUTHORISED and not renewed:
                    continue
                if response.status_code in LATER:
                    raise problem_of(response, read_body(response))
                yield response
                return

    def close(self) -> None:
        """Close the connection."""
        self._exchange.close()

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        also: tuple[int, ...] = (),
        **options: Any,
    ) -> Answer:
        """Send with a token, which is renewed once when the server no longer takes it."""
        answer = self._exchange.send(
            method,
            path,
            body,
            token=self._access.token(),
            also=(*also, _UNAUTHORISED),
            **options,
        )
        if answer.response.status_code != _UNAUTHORISED:
            return answer
        token = self._access.token(renew=True)
        return self._exchange.send(method, path, body, token=token, also=also, **options)


def _part(meta: Message) -> tuple[None, bytes, str]:
    """What is known of a file, beside it in one form."""
    return None, meta.to_json(), "application/json"
