"""A device as the server sees it: a real key, real signatures, real requests."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from inference_core.contract.device import Report
from server.device_gateway.credentials import token_url
from server.fleet.enrolment import issue_enrolment_token
from server.fleet.models import Device, Line
from server.trust.services import ensure_repository

FACTS = {
    "architecture": "x86_64",
    "system": "Linux",
    "cpu_count": 4,
    "memory_bytes": 8 << 30,
    "runtimes": {"onnxruntime": "1.32.0"},
}


class Box:
    """One key, one serial, and what was answered to them."""

    def __init__(self, serial: str = "box-1") -> None:
        self.serial = serial
        self.key = Ed25519PrivateKey.generate()
        self.boot_id = uuid.uuid4()
        self.device_id: uuid.UUID | None = None
        self.token = ""
        self.client = Client()

    @property
    def public_key(self) -> str:
        spki = PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(Encoding.PEM, spki).decode()

    @property
    def device(self) -> Device:
        return Device.objects.get(pk=self.device_id)

    def request_enrolment(self, token: str, **changes: Any) -> HttpResponse:
        body = {
            "token": token,
            "serial": self.serial,
            "public_key": self.public_key,
            "profile": "x86-onnxruntime",
            "facts": FACTS,
        }
        return self.post("enrol", body | changes)

    def enrol(self, token: str, **changes: Any) -> dict[str, Any]:
        answer = self.request_enrolment(token, **changes)
        assert answer.status_code == 200, answer.content
        reply: dict[str, Any] = answer.json()
        self.device_id = uuid.UUID(reply["device_id"])
        return reply

    def assertion(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": str(self.device_id),
            "sub": str(self.device_id),
            "aud": token_url(),
            "iat": now,
            "exp": now + 45,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims | changes, self.key, algorithm="EdDSA")

    def request_token(self, assertion: str | None = None) -> HttpResponse:
        return self.post("token", {"assertion": assertion or self.assertion()})

    def log_in(self) -> None:
        answer = self.request_token()
        assert answer.status_code == 200, answer.content
        self.token = answer.json()["access_token"]

    def report(self, **changes: Any) -> str:
        return Report(boot_id=self.boot_id, **changes).to_json().decode()

    def poll(self, report: str | None = None, etag: str | None = None) -> HttpResponse:
        headers = {"Linewarden-Report": self.report() if report is None else report}
        if etag:
            headers["If-None-Match"] = etag
        return self.get("goal", **headers)

    def send_telemetry(self, body: Any) -> HttpResponse:
        return self.post("telemetry", body)

    def send_sample(self, meta: dict[str, Any], image: bytes) -> HttpResponse:
        form = {
            "meta": json.dumps(meta),
            "image": SimpleUploadedFile("x.jpg", image, "image/jpeg"),
        }
        return self.client.post("/device/v1/samples", form, headers=self._headers())

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(f"/device/v1/{path}", headers=self._headers() | headers)

    def post(self, path: str, body: Any, content_type: str = "application/json") -> HttpResponse:
        return self._send("post", path, body, content_type)

    def patch(self, path: str, body: Any) -> HttpResponse:
        return self._send("patch", path, body, "application/json")

    def _send(self, verb: str, path: str, body: Any, content_type: str) -> HttpResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        send = getattr(self.client, verb)
        answer: HttpResponse = send(
            f"/device/v1/{path}", data, content_type=content_type, headers=self._headers()
        )
        return answer

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def make_box(line: Line, serial: str = "box-1", *, is_preauthorised: bool = True) -> Box:
    """A box that went through the real enrolment, and is logged in where it is accepted."""
    ensure_repository()
    issued = issue_enrolment_token(line=line, is_preauthorised=is_preauthorised, actor="test")
    box = Box(serial)
    box.enrol(issued.token)
    if is_preauthorised:
        box.log_in()
    return box
