"""Logs for a person far away: bounded, and without anything that opens a door."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from device_agent.config import Config
from device_agent.errands import SELDOM_S
from device_agent.errors import Rejected, Unavailable
from device_agent.files import make_folder, write_atomically
from device_agent.gateway import Gateway
from device_agent.journal import Journal
from device_agent.log import logger
from inference_core.contract.addresses import redact
from inference_core.contract.device import DeviceConfig, Goal
from inference_core.contract.telemetry import MAX_LOGS_BYTES, Health, LogsMeta

MAX_FILE_BYTES = 1024 * 1024
"""The newest bytes of each file; seven files at most, so the whole stays below the limit."""

_HIDDEN = "***"
_MAX_SECRET_BYTES = 64 * 1024

# Every repetition is bounded: what a child prints must not make a search quadratic.
_KEY = re.compile(r"(?s)-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----.*?(-----END [A-Z ]{0,20}-----|\Z)")
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,4000}\.[\w-]{1,4000}\.[\w-]{0,4000}")
_BEARER = re.compile(r"(?i)(\bbearer\s{1,5}|\bauthorization\W{1,5}(?:\w{1,20}\s{1,5})?)[^\s\"',;]+")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s\"'<>]+")
_NAMED = re.compile(
    r"(?i)((?:passw(?:or)?d|passphrase|pwd|token|secret|api[-_]?key)[\"']?\s{0,5}[=:]\s{0,5}[\"']?)"
    r"(?!null\b)[^\s\"',;&]+"
)


class LogBundle:
    """An errand: answers each request for logs once, however often the agent starts."""

    name = "the log bundle"

    def __init__(
        self,
        config: Config,
        gateway: Gateway,
        journal: Journal,
        *,
        health: Callable[[], Health | None],
    ) -> None:
        self._config, self._gateway, self._journal = config, gateway, journal
        self._health = health
        self._done_path = make_folder(config.data_dir / "logs") / "answered"

    def turn(self, goal: Goal) -> float:
        """Send the bundle that is waited for, if one is."""
        request = goal.wanted_logs
        if request is None or self._answered() == request:
            return SELDOM_S
        bundle = make_bundle(self._contents(goal))
        meta = LogsMeta(request=request, sha256=hashlib.sha256(bundle).hexdigest())
        try:
            self._gateway.send_logs(meta, bundle)
        except Rejected as error:
            if error.is_about_this_device:
                raise Unavailable(str(error)) from error
            logger.warning("nobody takes the log bundle %s: %s", request, error)
        else:
            logger.info("sent the log bundle %s, %d bytes", request, len(bundle))
        write_atomically(self._done_path, str(request).encode())
        return SELDOM_S

    def _answered(self) -> uuid.UUID | None:
        try:
            return uuid.UUID(self._done_path.read_text())
        except (OSError, ValueError):
            return None

    def _contents(self, goal: Goal) -> dict[str, str]:
        from device_agent.hardware.facts import read_facts

        hide = Hider(secrets_of(self._config))
        health = self._health()
        texts = {
            "settings.json": _describe_settings(self._config),
            "device.json": _describe_device(goal.config),
            "facts.json": read_facts().model_dump_json(indent=2),
            "health.json": health.model_dump_json(indent=2) if health else "{}",
            "endings.txt": "\n".join("  ".join(line) for line in self._journal.endings.newest()),
        }
        for path in _files(self._config.data_dir):
            with suppress(FileNotFoundError):  # rotated away meanwhile
                texts[path.name] = read_tail(path)
        return {name: hide(text) for name, text in texts.items()}


class Hider:
    """Takes out what opens a door: known secrets wherever they stand, and whatever looks so."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text with ``***`` in their place."""
        text = self._known.sub(_HIDDEN, text) if self._known else text
        text = _KEY.sub(_HIDDEN, text)
        text = _JWT.sub(_HIDDEN, text)
        text = _ADDRESS.sub(lambda found: redact(found[0]), text)
        text = _BEARER.sub(rf"\1{_HIDDEN}", text)
        return _NAMED.sub(rf"\1{_HIDDEN}", text)


def make_bundle(texts: Mapping[str, str]) -> bytes:
    """A ZIP of text files. ``Rejected`` where it would be too large to be taken."""
    import zipfile  # 1 MB that only somebody who waits for logs pays

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in texts.items():
            bundle.writestr(name, text)
    if len(packed.getvalue()) > MAX_LOGS_BYTES:
        raise Rejected(f"the log bundle has {len(packed.getvalue())} bytes")
    return packed.getvalue()


def read_tail(path: Path) -> str:
    """The newest whole lines of a file, at most ``MAX_FILE_BYTES``."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MAX_FILE_BYTES))
        content = file.read(MAX_FILE_BYTES)
    if size > MAX_FILE_BYTES:  # half a line may be half a secret, which nothing would recognise
        content = content.partition(b"\n")[2]
    return content.decode(errors="replace")


def secrets_of(config: Config) -> Iterator[str]:
    """What this box knows that nobody else may: its token, and its sinks' secrets."""
    if config.enrolment_token:
        yield config.enrolment_token
    files = [config.enrolment_token_file] if config.enrolment_token_file else []
    with suppress(OSError):
        files += [path for path in config.secrets_dir.iterdir() if path.is_file()]
    for path in files:
        with suppress(OSError), path.open("rb") as file:
            yield from _pieces(file.read(_MAX_SECRET_BYTES).decode(errors="replace"))


def _pieces(text: str) -> Iterator[str]:
    """A whole secret, its lines, and the two sides of user:password."""
    for line in (text.strip(), *text.split("\n")):
        yield line.strip()
        yield line.partition(":")[2].strip()


def _files(data_dir: Path) -> list[Path]:
    logs = sorted((data_dir / "logs").glob("agent.log*"))[:4]
    return [*logs, data_dir / "run" / "child.log", data_dir / "run" / "status.json"]


def _describe_settings(config: Config) -> str:
    values = config.model_dump(mode="json")
    if values["enrolment_token"]:
        values["enrolment_token"] = _HIDDEN
    return json.dumps(values, indent=2)


def _describe_device(device: DeviceConfig) -> str:
    values = device.model_dump(mode="json")
    for camera in values["cameras"]:
        camera["address"] = redact(camera["address"])
        camera["sinks"] = [redact(sink) for sink in camera.get("sinks", ())]
    return json.dumps(values, indent=2)
