"""A client of the protocol, a request at a time."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from rest_framework.response import Response
from rest_framework.test import APIClient

from tests.server.catalogue import MODEL, manifest_json, onnx_bytes

API = "/api/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = "application/offset+octet-stream"


def version_form(**changes: Any) -> dict[str, Any]:
    form = {"kind": "model_version", "model": MODEL, "version": "1.0.0"}
    return {**form, "manifest": manifest_json(), "file_name": "model.onnx", **changes}


def begin(client: APIClient, length: int | None = None, **changes: Any) -> Response:
    length = len(onnx_bytes()) if length is None else length
    headers = {**TUS, "Upload-Length": str(length)}
    return client.post(API, version_form(**changes), headers=headers)


def begun(client: APIClient, length: int | None = None, **changes: Any) -> str:
    response = begin(client, length, **changes)
    assert response.status_code == 201, response.content
    return response["Location"]


def send(client: APIClient, at: str, offset: int, content: bytes, **headers: str) -> Response:
    return client.patch(
        at, content, content_type=BYTES, headers={**TUS, "Upload-Offset": str(offset), **headers}
    )


def offset_of(client: APIClient, at: str) -> int:
    response = client.head(at, headers=TUS)
    assert response.status_code == 200
    return int(response["Upload-Offset"])


def checksum(content: bytes, algorithm: str = "sha256") -> str:
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"
