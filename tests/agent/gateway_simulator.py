"""The server's side of the device protocol as a real HTTP server, with faults on demand."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt

from inference_core.contract.device import (
    ACCESS_TOKEN_LIFETIME_S,
    REPORT_HEADER,
    CertificateReply,
    CertificateRequest,
    DeploymentRef,
    DeviceConfig,
    DeviceFacts,
    EnrolmentReply,
    EnrolmentRequest,
    FactsReply,
    Goal,
    ProbationLimits,
    Progress,
    ProgressReply,
    Report,
    TokenReply,
    TokenRequest,
)
from inference_core.contract.release import TargetRef
from inference_core.contract.telemetry import Batch, BatchReply, LogsMeta, Record, SampleMeta
from inference_core.contract.words import TERMINAL_PHASES, DeploymentPhase
from tests.agent.offered_build import OfferedBuild, OfferedTurn
from tests.agent.offered_check import OfferedCheck
from tests.agent.signed_repository import SignedRepository

ENROLMENT_TOKEN = "0123456789abcdef0123456789abcdef"
_SECRET = "a secret that only this simulated server knows"


@dataclass
class Deployment:
    """One device's part of a rollout, as the server keeps it."""

    phase: DeploymentPhase = DeploymentPhase.QUEUED
    version: int = 0
    seq: int = 0
    reports: list[Progress] = field(default_factory=list)

    @property
    def phases(self) -> list[str]:
        return [str(report.phase) for report in self.reports]

    @property
    def terminal_reports(self) -> list[Progress]:
        return [report for report in self.reports if report.phase in TERMINAL_PHASES]

    def reply(self) -> ProgressReply:
        return ProgressReply(version=self.version, seq=self.seq, phase=self.phase)


class Simulator:
    """Start with ``with Simulator(repository) as server``; everything public may be looked at."""

    def __init__(
        self, repository: SignedRepository, profile: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self.repository, self.profile = repository, profile
        self.device_id = uuid.uuid4()
        self.public_key: str | None = None
        self.enrolments: list[EnrolmentRequest] = []
        self.facts: list[DeviceFacts] = []
        self.misfit = ""
        self.goal = Goal(generation=0, poll_s=0.2)
        self.deployments: dict[str, Deployment] = {}
        self.records: list[tuple[uuid.UUID, Record]] = []
        self.cursors: dict[uuid.UUID, int] = {}
        self.samples: list[tuple[SampleMeta, bytes]] = []
        self.logs: list[tuple[LogsMeta, bytes]] = []
        self.reports: list[Report] = []
        self.requests: list[tuple[str, str]] = []
        self.ranges: list[str] = []
        self.is_down = False
        self.certifies: Callable[[CertificateRequest], CertificateReply] | None = None
        self.certificate_requests: list[CertificateRequest] = []
        self.poll_s = 0.2
        self.goes_down_in: DeploymentPhase | None = None
        self.refuses: Callable[[Record], bool] = lambda _: False
        self.interferes: Callable[[str, Answer], Answer | None] = lambda _path, answer: answer
        self.cut_targets_after: int | None = None
        self.drips_every_s: float | None = None
        self.token_serial = 0
        self.seen_jti: set[str] = set()
        self.build: OfferedBuild | None = None
        self.check: OfferedCheck | None = None
        self.lock = threading.RLock()
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"simulator": self})
        )
        self._http.daemon_threads = True
        self._scheme = "https" if tls else "http"
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Simulator:  # noqa: PYI034 - typing.Self needs Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def assign(
        self,
        release: TargetRef | None,
        *,
        config: DeviceConfig | None = None,
        probation: ProbationLimits | None = None,
        with_deployment: bool = True,
        rate_cap_bytes_s: int | None = None,
        **more: Any,
    ) -> Deployment:
        """Give the device a new goal; the deployment that belongs to it is returned."""
        with self.lock:
            deployment, key = Deployment(), uuid.uuid4()
            self.deployments[str(key)] = deployment
            self.goal = Goal(
                generation=self.goal.generation + 1,
                release=release,
                deployment=DeploymentRef(id=key, version=0) if with_deployment else None,
                config=config or self.goal.config,
                probation=probation or self.goal.probation,
                rate_cap_bytes_s=rate_cap_bytes_s,
                poll_s=0.2,
                **more,
            )
            return deployment

    def close(self, deployment: Deployment, phase: DeploymentPhase) -> None:
        """The server ends a deployment by itself."""
        with self.lock:
            deployment.phase, deployment.version = phase, deployment.version + 1

    def enrol(self, body: bytes) -> Answer:
        request = EnrolmentRequest.model_validate_json(body)
        if request.token != ENROLMENT_TOKEN:
            return _problem(401, "this enrolment token is unknown or used up")
        if self.public_key not in (None, request.public_key):
            return _problem(409, "this serial belongs to another key")
        self.public_key = request.public_key
        self.enrolments.append(request)
        return _message(
            EnrolmentReply(
                device_id=self.device_id,
                state="accepted",
                profile=self.profile,
                tuf_root=self.repository.initial_root.decode(),
                poll_s=0.2,
                server_time=datetime.now(timezone.utc),
            )
        )

    def token(self, body: bytes) -> Answer:
        assertion = TokenRequest.model_validate_json(body).assertion
        try:
            claims = jwt.decode(
                assertion,
                self.public_key or "",
                algorithms=["EdDSA"],
                audience=f"{self.url}/device/v1/token",
                issuer=str(self.device_id),
                options={"require": ["exp", "iat", "jti", "sub"]},
            )
        except jwt.PyJWTError as error:
            now = datetime.now(timezone.utc).isoformat()
            return _problem(401, f"the assertion is not acceptable: {error}", server_time=now)
        if claims["jti"] in self.seen_jti or claims["exp"] - claims["iat"] > 60:
            return _problem(401, "the assertion was replayed, or lives too long")
        self.seen_jti.add(claims["jti"])
        text = jwt.encode({"sub": str(self.device_id), "n": self.token_serial}, _SECRET, "HS256")
        now = datetime.now(timezone.utc)
        return _message(
            TokenReply(access_token=text, expires_in_s=ACCESS_TOKEN_LIFETIME_S, server_time=now)
        )

    def is_authorised(self, header: str | None) -> bool:
        try:
            claims = jwt.decode((header or "").removeprefix("Bearer "), _SECRET, ["HS256"])
        except jwt.PyJWTError:
            return False
        return claims["n"] == self.token_serial

    def answer_goal(self, headers: Any) -> Answer:
        report = Report.model_validate_json(headers[REPORT_HEADER])
        if self.goes_down_in and report.phase is self.goes_down_in:
            self.is_down = True
            return _problem(503, "gone from now on")
        self.reports.append(report)
        etag = f'"{self.goal.generation}"'
        extra = {"ETag": etag, "Linewarden-Poll": str(self.poll_s)}
        if headers.get("If-None-Match") == etag:
            return Answer(304, b"", extra)
        return Answer(200, self.goal.to_json(), extra)

    def certificate(self, body: bytes) -> Answer:
        if self.certifies is None:
            return _problem(403, "this device is given no certificate")
        request = CertificateRequest.model_validate_json(body)
        self.certificate_requests.append(request)
        return _message(self.certifies(request))

    def progress(self, key: str, body: bytes) -> Answer:
        progress, deployment = Progress.model_validate_json(body), self.deployments.get(key)
        if deployment is None:
            return _problem(404, "this device has no such deployment")
        if progress.seq <= deployment.seq:
            return _message(deployment.reply())
        if deployment.phase in TERMINAL_PHASES:
            return _message(deployment.reply(), 410)
        if progress.expected_version != deployment.version:
            return _message(deployment.reply(), 409)
        deployment.seq, deployment.phase = progress.seq, progress.phase
        deployment.version += 1
        deployment.reports.append(progress)
        return _message(deployment.reply())

    def take_facts(self, body: bytes) -> Answer:
        self.facts.append(DeviceFacts.model_validate_json(body))
        return _message(FactsReply(profile=self.profile, misfit=self.misfit))

    def telemetry(self, body: bytes) -> Answer:
        batch = Batch.model_validate_json(body)
        if any(self.refuses(record) for record in batch.records):
            return _problem(422, "one of these records is poison")
        acked = self.cursors.get(batch.boot_id, 0)
        if batch.first_seq > acked + 1:
            return _problem(409, "records before these are missing", acked_seq=acked)
        for record in batch.records:
            if record.seq > acked:
                self.records.append((batch.boot_id, record))
                acked = record.seq
        self.cursors[batch.boot_id] = acked
        return _message(BatchReply(acked_seq=acked))

    def sample(self, body: bytes, content_type: str) -> Answer:
        parts = _form(body, content_type)
        self.samples.append((SampleMeta.model_validate_json(parts["meta"]), parts["image"]))
        return Answer(201, b"{}")

    def take_logs(self, body: bytes, content_type: str) -> Answer:
        parts = _form(body, content_type)
        meta = LogsMeta.model_validate_json(parts["meta"])
        if meta.request != self.goal.wanted_logs:
            return _problem(404, "nobody has asked this device for these logs")
        self.logs.append((meta, parts["bundle"]))
        return Answer(201, b"{}")

    def file(self, path: str, headers: Any) -> Answer:
        content = self.repository.files.get(path)
        if content is None:
            return _problem(404, f"there is no {path}")
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("Range") or "")
        if asked:
            self.ranges.append(headers["Range"])
            begin, end = int(asked[1]), int(asked[2] or len(content) - 1) + 1
            stretch = f"bytes {begin}-{end - 1}/{len(content)}"
            return Answer(206, content[begin:end], {"Content-Range": stretch})
        return Answer(200, content)

    def call_turn(
        self, turn: OfferedTurn | None, method: str, rest: str, headers: Any, body: bytes
    ) -> Answer:
        if turn is None:
            return _problem(404, "there is no such turn of this device's")
        status, content = turn.answer(method, rest, headers, body)
        extra = {"Content-Range": turn.stretch} if status == 206 else {}
        if status < 400:
            return Answer(status, content, extra)
        return _problem(status, content.decode())

    def route(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        """What the server answers to a call below ``/device/v1/``."""
        if self.is_down:
            return _problem(503, "down for maintenance")
        with self.lock:
            self.requests.append((method, path))
            if path in ("enrol", "token"):
                return self.enrol(body) if path == "enrol" else self.token(body)
            if not self.is_authorised(headers.get("Authorization")):
                return _problem(401, "the access token is not acceptable")
            room, _, rest = path.partition("/")
            calls: dict[str, Callable[[], Answer]] = {
                "goal": lambda: self.answer_goal(headers),
                "deployments": lambda: self.progress(rest, body),
                "telemetry": lambda: self.telemetry(body),
                "facts": lambda: self.take_facts(body),
                "certificate": lambda: self.certificate(body),
                "samples": lambda: self.sample(body, headers["Content-Type"]),
                "logs": lambda: self.take_logs(body, headers["Content-Type"]),
                "tuf": lambda: self.file(rest, headers),
                "builds": lambda: self.call_turn(self.build, method, rest, headers, body),
                "checks": lambda: self.call_turn(self.check, method, rest, headers, body),
            }
            return calls[room]()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    simulator: Simulator

    def log_message(self, *_: object) -> None:
        """Tests read ``requests`` instead."""

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) == length:  # else the sender died in the middle
            self._serve(body)

    def do_PATCH(self) -> None:
        self.do_POST()

    def do_PUT(self) -> None:
        self.do_POST()

    def _serve(self, body: bytes) -> None:
        path = self.path.removeprefix("/device/v1/")
        answer = self.simulator.route(self.command, path, self.headers, body)
        cut_after = self.simulator.cut_targets_after
        changed = self.simulator.interferes(path, answer)
        if changed is None:  # what was asked is done, and nobody will ever know
            self.close_connection = True
            return
        answer = changed
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if path.startswith("tuf/targets/") and cut_after is not None:
            self.wfile.write(answer.body[:cut_after])  # the whole was promised
            self.close_connection = True
        elif answer.status != 304:
            self._write(answer.body)

    def _write(self, body: bytes) -> None:
        """At once, or a byte at a time for as long as the simulator says so."""
        with contextlib.suppress(ConnectionError):  # whoever asked may have lost patience
            while body and self.simulator.drips_every_s is not None:
                self.wfile.write(body[:1])
                body = body[1:]
                time.sleep(self.simulator.drips_every_s)
            self.wfile.write(body)


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def _form(body: bytes, content_type: str) -> dict[Any, bytes]:
    """The parts of a multipart form by name."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
    }


def _message(message: Any, status: int = 200) -> Answer:
    return Answer(status, message.to_json())


def _problem(status: int, detail: str, **more: object) -> Answer:
    document = {"type": "about:blank", "status": status, "detail": detail} | more
    body = json.dumps(document).encode()
    return Answer(status, body, {"Content-Type": "application/problem+json"})
