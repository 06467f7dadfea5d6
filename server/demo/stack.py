"""Starts the server, its workers and the sample devices as processes of their own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import requests

from server.demo.client import Client
from server.demo.console import Console, wait_until
from server.demo.place import Place
from server.demo.processes import Ensemble

WEB = (
    *("--interface", "wsgi", "--no-ws", "--host", "127.0.0.1"),
    *("--workers", "1"),  # SQLite has one writer anyway
    # Whoever sends or reads slowly holds one for as long. They exist while they are needed.
    *("--blocking-threads", "32"),
    *("--workers-kill-timeout", "10"),  # its default waits for ever
    "server.config.wsgi:application",
)
"""How granian serves on one host without a proxy; a port is added."""

SITE, LINE, GROUP = "sample-works", "incoming-inspection", "sample-devices"


@dataclass(frozen=True)
class SampleDevice:
    """A device of the sample story: its serial, and a profile that this machine really has."""

    index: int
    serial: str
    profile: str


DEVICES = (
    SampleDevice(0, "sample-onnxruntime", "x86-onnxruntime"),
    SampleDevice(1, "sample-openvino", "x86-openvino"),
    SampleDevice(2, "sample-opencv-dnn", "x86-opencv-dnn"),
)


class ProcessDied(Exception):
    """A process of the stack ended by itself; the message has the end of its log."""


@dataclass
class Stack:
    """The running product, and an API client of its admin."""

    place: Place
    ensemble: Ensemble
    console: Console
    client: Client
    new_password: str | None
    told_builds: set[int] = field(default_factory=set)

    def check(self) -> None:
        """Raise ProcessDied when one of the processes is gone."""
        for name, status in self.ensemble.dead().items():
            log = self.ensemble.log_path(name)
            end = log.read_text(errors="replace")[-2000:]
            raise ProcessDied(f"{name} ended with status {status}; its log {log} ends with:\n{end}")


def start_stack(
    place: Place,
    ensemble: Ensemble,
    console: Console,
    announce: Callable[[Stack], None] | None = None,
) -> Stack:
    """Prepare, start everything, and return when the devices are enrolled.

    ``announce`` is called as soon as people can sign in.
    """
    console.say(f"preparing the data in {place.data}")
    token, password = prepare_database(place)
    start_server(place, ensemble, console)
    stack = Stack(place, ensemble, console, Client(place.url, token), password)
    console.say(f"the server answers at {place.url}")
    if announce:
        announce(stack)
    start_devices(stack)
    console.say(f"devices enrolled: {', '.join(device.serial for device in DEVICES)}")
    return stack


def prepare_database(place: Place) -> tuple[str, str | None]:
    """Migrate and seed. Returns an API token, and the admin's password if it is a new one."""
    place.configure_django()
    from django.db import connections

    from server.accounts.models import User
    from server.accounts.services import create_api_token
    from server.config.prepare import ADMIN, prepare
    from server.lib import clock

    password = prepare()
    token = create_api_token(
        user=User.objects.get(username=ADMIN),
        name="sample story",
        expires_at=clock.now() + timedelta(hours=12),
        actor="installer",
    )
    connections.close_all()
    return token, password


def start_server(place: Place, ensemble: Ensemble, console: Console) -> None:
    """Start the web server, the worker with its schedule, and the builder; wait for an answer."""
    python = sys.executable
    ensemble.start("web", [python, "-m", "granian", *WEB, "--port", str(place.port)])
    worker = [python, "-m", "celery", "-A", "server.config.celery", "worker", "-l", "INFO",
              "--without-gossip", "--without-mingle", "--pool", "threads"]  # fmt: skip
    ensemble.start("worker", [*worker, "-n", "worker@%h", "-B", "-c", "3", "-Q", "default"])
    # Builds measure speed: one at a time, and never in the way of the schedule.
    served = [word for device in DEVICES for word in ("--profile", device.profile)]
    ensemble.start("builder", [python, "-m", "server", "build-worker", "--sign", *served])

    def web_answers() -> str | None:
        try:
            requests.get(f"{place.url}/sign-in/", timeout=5).raise_for_status()
        except requests.RequestException:
            return "waiting for the web server"
        return None

    wait_until(web_answers, console=console, timeout_s=60)


def start_devices(stack: Stack) -> None:
    """Enrol and start the sample devices; those of an earlier run keep their keys and data."""
    ensure_place_for_devices(stack.client)
    known = {device["serial"] for device in stack.client.pages("devices")}
    for device in DEVICES:
        folder = stack.place.data / "devices" / device.serial
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_config(stack, device, folder, is_new=device.serial not in known)
        command = [sys.executable, "-m", "device_agent", "--config", str(folder / "agent.json")]
        stack.ensemble.start(device.serial, [*command, "run"])
    wait_until(lambda: _not_enrolled(stack), console=stack.console, timeout_s=60)
    for device in DEVICES:
        _give_camera(stack, device)


def ensure_place_for_devices(client: Client) -> None:
    """The sample factory: a site, a line and a group."""
    if client.find(f"groups/{GROUP}") is None:
        client.post("sites", {"name": SITE, "title": "Sample works"})
        client.post("lines", {"site": SITE, "name": LINE, "title": "Incoming inspection"})
        client.post("groups", {"name": GROUP, "title": "Sample devices"})


def _write_config(stack: Stack, device: SampleDevice, folder: Path, *, is_new: bool) -> None:
    """What a technician would put on the box; a new one gets a token that works once.

    Written at every start, because the port may be another one.
    """
    settings = {
        "server_url": stack.place.url,
        "data_dir": str(folder / "state"),
        "serial": device.serial,
        "profile": device.profile,
        "threads": 2,  # as the profiles have it, for which the artifacts are certified
        "min_poll_s": 1.0,
        "summary_every_s": 5.0,
        "health_every_s": 15.0,
    }
    if is_new:
        token = stack.client.post(
            "enrolment-tokens",
            {"site": SITE, "line": LINE, "group": GROUP, "uses": 1, "preauthorised": True},
        )
        settings["enrolment_token"] = token["token"]
    path = folder / "agent.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(settings, indent=2))


def _not_enrolled(stack: Stack) -> str | None:
    stack.check()
    rows = stack.client.pages("devices")  # people may have brought in devices of their own
    accepted = {row["serial"] for row in rows if row["state"] == "accepted"}
    ready = sum(device.serial in accepted for device in DEVICES)
    return None if ready == len(DEVICES) else f"devices enrolled: {ready} of {len(DEVICES)}"


def _give_camera(stack: Stack, device: SampleDevice) -> None:
    from server.demo import board_sets, boards

    pictures = stack.place.data / "cameras" / device.serial
    if not (pictures / "labels.jsonl").exists():
        stack.console.show(f"drawing boards for the camera of {device.serial}")
        board_sets.write_boards(board_sets.live_set(device.index), pictures)
    row = next(d for d in stack.client.pages("devices") if d["serial"] == device.serial)
    camera = {
        "name": "top",
        "address": (pictures / "images").as_uri(),
        "frames_per_s": 2.0,
        "mm_per_px": boards.MM_PER_PX,
    }
    stack.client.patch(f"devices/{row['id']}", {"cameras": [camera], "sample_every_s": 5.0})
