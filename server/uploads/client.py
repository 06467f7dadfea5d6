"""Upload a model version or a dataset over a bad line: ``python client.py --help``.

One file for people and CI. It needs Python 3.9 and nothing else, so it may be copied alone.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlencode, urlsplit

CHUNK_BYTES = 4 * 1024 * 1024
TIMEOUT_S = 60.0
LOOK_EVERY_S = 1.0
LONGEST_PAUSE_S = 30.0
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream", **TUS}


class Refused(Exception):
    """The server says no, and would say it again."""


class Away(Exception):
    """No answer, or a later one; worth another try."""


class Server:
    """Requests to one server with one token."""

    def __init__(self, url: str, token: str) -> None:
        self._parts, self._token = urlsplit(url), token

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Optional[Mapping[str, str]] = None
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        """Status, headers and decoded JSON. Raises Refused and Away; 409 is returned."""
        kind = http.client.HTTPSConnection
        if self._parts.scheme == "http":
            kind = http.client.HTTPConnection  # type: ignore[assignment]
        connection = kind(self._parts.netloc, timeout=TIMEOUT_S)
        sent = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, body, sent)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Away(f"{type(error).__name__}: {error}") from None
        finally:
            connection.close()
        return answer.status, answer.headers, _checked(answer.status, content)


def _checked(status: int, content: bytes) -> Any:
    if status == 409:
        return _decode(content)  # another offset: the caller looks where to go on
    if status in (429, 460) or status >= 500:
        raise Away(_detail(status, content))
    if status >= 400:
        raise Refused(_detail(status, content))
    return _decode(content)


def _decode(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None


def _detail(status: int, content: bytes) -> str:
    problem = _decode(content)
    detail = problem.get("detail") if isinstance(problem, dict) else None
    errors = json.dumps(problem["errors"]) if detail and "errors" in problem else ""
    return f"{detail or 'the server answered'} ({status}) {errors}".strip()


class Patience:
    """Longer and longer pauses."""

    def __init__(self) -> None:
        self._pause_s = 1.0

    def wait(self, bar: Bar, error: Away) -> None:
        """Say why, and rest."""
        bar.note(f"{error}; trying again in {self._pause_s:.0f} s")
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()


def begin(server: Server, path: Path, form: Mapping[str, str]) -> str:
    """Address of an upload of this file: the one that was cut off, or a new one."""
    sha256 = digest(path)
    mark = hashlib.sha256(json.dumps([sha256, sorted(form.items())]).encode()).hexdigest()
    query = urlencode({"fingerprint": mark, "state": "receiving"})
    _, _, known = server.ask("GET", f"/api/v1/uploads?{query}")
    if known and known["results"]:
        return f"/api/v1/uploads/{known['results'][0]['id']}"
    body = {**form, "file_name": path.name, "fingerprint": mark, "sha256": sha256}
    headers = {
        **TUS,
        "Content-Type": "application/json",
        "Upload-Length": str(path.stat().st_size),
    }
    status, answer, problem = server.ask(
        "POST", "/api/v1/uploads", json.dumps(body).encode(), headers
    )
    if status != 201:
        raise Refused(problem["detail"] if problem else f"the server answered {status}")
    return str(answer["Location"])


def send(server: Server, at: str, path: Path, bar: Bar) -> None:
    """Send what the server lacks; goes on after every cut for as long as it takes."""
    offset: Optional[int] = None
    length, patience = path.stat().st_size, Patience()
    while offset is None or offset < length:
        try:
            if offset is None:
                offset = int(server.ask("HEAD", at, headers=TUS)[1]["Upload-Offset"])
            else:
                offset = _send_chunk(server, at, path, offset)
            patience = Patience()
        except Away as error:
            patience.wait(bar, error)
            offset = None
        bar.show(offset, length)


def _send_chunk(server: Server, at: str, path: Path, offset: int) -> Optional[int]:
    """The new offset; None where the server is somewhere else."""
    with path.open("rb") as file:
        file.seek(offset)
        chunk = file.read(CHUNK_BYTES)
    checksum = f"sha256 {base64.b64encode(hashlib.sha256(chunk).digest()).decode()}"
    headers = {**BYTES, "Upload-Offset": str(offset), "Upload-Checksum": checksum}
    status, answer, _ = server.ask("PATCH", at, chunk, headers)
    return int(answer["Upload-Offset"]) if status == 204 else None


def follow(server: Server, at: str) -> Iterator[dict[str, Any]]:
    """The upload in each new state, until it has ended."""
    state = ""
    while True:
        try:
            upload = server.ask("GET", at)[2]
        except Away:
            upload = None
        if upload and upload["state"] != state:
            state = upload["state"]
            yield upload
            if state not in ("received", "inspecting"):
                return
        time.sleep(LOOK_EVERY_S)


class Bar:
    """Progress on standard error: one line that moves on a terminal, else a line for each tenth."""

    def __init__(self) -> None:
        self._is_terminal, self._tenth = sys.stderr.isatty(), -1

    def show(self, offset: Optional[int], length: int) -> None:
        """How far it is."""
        if offset is None:
            return
        share, tenth = offset / length, 10 * offset // length
        text = f"{share:4.0%} of {length / 2**20:.1f} MiB"
        if self._is_terminal:
            sys.stderr.write(f"\r[{'#' * int(30 * share):30}] {text}")
            sys.stderr.write("\n" if offset == length else "")
        elif tenth != self._tenth:
            sys.stderr.write(f"{text}\n")
        self._tenth = tenth
        sys.stderr.flush()

    def note(self, text: str) -> None:
        """Something to know."""
        sys.stderr.write(f"\n{text}\n" if self._is_terminal else f"{text}\n")
        sys.stderr.flush()


_OF_A_VERSION = {
    "licence": "of a file that comes without a manifest and names none itself",
    "parent": "what it was made from: VERSION, or MODEL/VERSION",
    "trained_on": "the dataset that it was trained on: NAME/VERSION",
    "metrics": 'JSON, for example {"mean_iou": 0.86}',
    "recipe": "JSON with a name: how it was trained",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="of the server, as https://linewarden.example")
    parser.add_argument(
        "--token-file", type=Path, help="holds the API token; without it LINEWARDEN_TOKEN does"
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    version = kinds.add_parser("model-version", help="an ONNX file with its manifest")
    version.add_argument("--model", required=True)
    version.add_argument("--manifest", type=Path, help="without it, what the file says of itself")
    for name, help_text in _OF_A_VERSION.items():
        version.add_argument(f"--{name.replace('_', '-')}", default="", help=help_text)
    dataset = kinds.add_parser("dataset", help="a zip with labels.jsonl and its images")
    dataset.add_argument("--name", required=True)
    dataset.add_argument("--purpose", required=True, choices=["golden", "calibration", "training"])
    for kind in (version, dataset):
        kind.add_argument("--version", required=True)
        kind.add_argument("--notes", default="")
        kind.add_argument("file", type=Path)
    return parser


def _form(options: argparse.Namespace) -> dict[str, str]:
    common = {"version": options.version, "notes": options.notes}
    if options.kind == "dataset":
        return {"kind": "dataset", "name": options.name, "purpose": options.purpose, **common}
    manifest = options.manifest.read_text(encoding="utf-8") if options.manifest else ""
    told = {name: getattr(options, name) for name in _OF_A_VERSION if getattr(options, name)}
    return {
        "kind": "model_version",
        "model": options.model,
        "manifest": manifest,
        **told,
        **common,
    }


def _token(options: argparse.Namespace) -> str:
    if options.token_file:
        return str(options.token_file.read_text().strip())
    token = os.environ.get("LINEWARDEN_TOKEN", "")
    if not token:
        raise Refused("Put an API token into LINEWARDEN_TOKEN, or into a file: --token-file.")
    return token


def upload(options: argparse.Namespace) -> str:
    """Upload, wait for the inspection, and return the path of what it became."""
    server, bar = Server(options.url, _token(options)), Bar()
    at = begin(server, options.file, _form(options))
    send(server, at, options.file, bar)
    for found in follow(server, at):
        bar.note(found["state"])
        if found["state"] == "done":
            return str(found["result"])
    raise Refused((found["problem"] or {}).get("detail", f"the upload is {found['state']}"))


def main() -> int:
    """0 it is there, 1 the server refuses it, 2 the call is wrong, 75 the server is away."""
    options = _parser().parse_args()
    try:
        sys.stdout.write(f"{upload(options)}\n")
    except (Refused, OSError) as error:
        sys.stderr.write(f"refused: {error}\n")
        return 1
    except Away as error:
        sys.stderr.write(f"the server does not answer: {error}\n")
        return 75
    return 0


if __name__ == "__main__":
    sys.exit(main())
