"""Back-off, summaries, status: small parts with promises of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import jwt
import pytest

from device_agent.backoff import Backoff
from device_agent.identity import ASSERTION_S, Identity
from device_agent.screen import draw
from device_agent.status import Status
from device_agent.summaries import Summaries
from inference_core.contract.results import (
    BoxResult,
    ClassResult,
    FrameResult,
    StageLatency,
    StageResult,
)
from inference_core.contract.serve import FrameDone, FrameLost
from inference_core.contract.signals import PictureQuality
from inference_core.contract.words import FailureCause, VerdictWord
from tests.agent.device import REPOSITORY

NOON = datetime(2026, 11, 22, 12, 30, tzinfo=timezone.utc)
SHA256 = "a" * 64


def frame(camera: str, at: datetime, *, fault: FailureCause | None = None) -> FrameDone:
    latency = StageLatency(preprocess=1, infer=2, postprocess=1, total=4)
    result = FrameResult(
        camera=camera,
        sequence=0,
        source="x.png",
        captured_at=at,
        width=1,
        height=1,
        verdict=VerdictWord.FAIL if fault else VerdictWord.PASS,
        stages=(StageResult(stage="defects", latency_ms=latency, fault=fault),),
        latency_ms=5,
        budget_ms=100,
    )
    return FrameDone(result=result)


def test_delays_grow_stay_below_the_cap_and_honour_the_server() -> None:
    backoff = Backoff(base_s=1, cap_s=8)
    for ceiling_s in (1, 2, 4, 8, 8, 8):
        assert 0 <= backoff.next_s() <= ceiling_s
    assert backoff.next_s(wanted_s=100) >= 100
    backoff.reset()
    assert backoff.next_s() <= 1


def test_a_summary_counts_what_happened_in_its_hour_at_its_camera() -> None:
    summaries = Summaries()
    summaries.add(SHA256, frame("top", NOON))
    summaries.add(SHA256, frame("top", NOON, fault=FailureCause.NOT_FINITE))
    summaries.add(SHA256, frame("top", NOON + timedelta(hours=1)))
    summaries.add(SHA256, frame("side", NOON))
    lost = FrameLost(camera="side", cause="no_input", detail="", captured_at=NOON)
    summaries.add(SHA256, lost)
    side, top, later = sorted(summaries.flush(), key=lambda s: (s.hour, s.camera))
    assert (side.frames, side.lost) == (1, {"no_input": 1})
    assert (top.frames, top.verdicts, top.faults) == (2, {"pass": 1, "fail": 1}, {"not_finite": 1})
    assert top.hour == NOON.replace(minute=0)
    assert top.latency_ms["total"].sum_micro == 10_000_000
    assert top.latency_ms["defects"].count == 2
    assert later.hour == NOON.replace(hour=13, minute=0)


def test_a_summary_holds_the_scores_of_what_was_said_and_the_quality_of_pictures() -> None:
    summaries = Summaries()
    done = frame("top", NOON)
    box = BoxResult(label="screw", class_id=0, score=0.75, xyxy=(0, 0, 1, 1))
    said = ClassResult(label="good", class_id=0, score=1.0000001)
    unsaid = ClassResult(label="bad", class_id=1, score=0.0)
    stage = done.result.stages[0].model_copy(
        update={"boxes": (box, box), "classes": (said, unsaid)}
    )
    quality = PictureQuality(luma=0.5, clipped_share=0.0, sharpness=120.0)
    result = done.result.model_copy(update={"stages": (stage,), "quality": quality})
    summaries.add(SHA256, FrameDone(result=result))
    summaries.add(SHA256, frame("side", NOON))
    side, top = sorted(summaries.flush(), key=lambda summary: summary.camera)
    assert side.signals is None
    assert top.signals is not None
    assert {name: found.counts for name, found in top.signals.confidence.items()} == {
        "good": {63: 1},
        "screw": {48: 2},
    }
    assert top.signals.luma.counts == {32: 1}
    assert top.signals.sharpness.count == 1


def test_a_flush_is_a_delta() -> None:
    summaries = Summaries()
    summaries.add(SHA256, frame("top", NOON))
    assert len(summaries.flush()) == 1
    assert summaries.flush() == []


def test_the_screen_says_what_is_wrong_in_words() -> None:
    status = Status(
        at=datetime.now(timezone.utc) - timedelta(hours=5),
        pid=1,
        server_url="https://fleet.example.com",
        serial="box-1",
        server_problem="cannot reach it",
        journal_is_durable=False,
    )
    screen = draw(status, is_running=False)
    assert "NOT running, last seen 5 hours ago" in screen
    assert "AWAY: cannot reach it" in screen
    assert "no update will begin" in screen
    assert "Start it with" in draw(None, is_running=False)


HEAVY = (
    "numpy", "cv2", "onnxruntime", "openvino", "django", "tuf", "paho", "psutil",
    "charset_normalizer", "chardet", "yaml",
)  # fmt: skip


def test_the_agent_loads_nothing_heavy_before_it_is_wanted() -> None:
    script = f"import sys, device_agent.agent\nprint(sorted(set({HEAVY}) & set(sys.modules)))"
    assert run_apart(script) == "[]"


def test_text_of_no_encoding_is_read_as_utf_8() -> None:
    script = (
        "from device_agent.web import requests\n"
        "answer = requests.Response()\n"
        "answer._content = 'größer'.encode()\n"
        "print(answer.text)"
    )
    assert run_apart(script) == "größer"


def test_what_the_agent_does_without_is_hidden_from_nobody_else() -> None:
    said = "import sys\nprint('charset_normalizer' in sys.modules)"
    assert run_apart(f"import device_agent.web, charset_normalizer\n{said}") == "True"
    assert run_apart(f"import charset_normalizer, device_agent.web\n{said}") == "True"


def test_an_assertion_is_a_token_that_another_library_believes(tmp_path: Path) -> None:
    identity, device_id = Identity(tmp_path / "identity"), uuid4()
    token = identity.assertion(device_id, "https://fleet.example.com/token")
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "JWT"}
    claims = jwt.decode(
        token, identity.public_key, ["EdDSA"], audience="https://fleet.example.com/token"
    )
    assert (claims["iss"], claims["sub"]) == (str(device_id), str(device_id))
    assert claims["exp"] - claims["iat"] == ASSERTION_S
    stranger = Identity(tmp_path / "stranger").public_key
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, stranger, ["EdDSA"], audience="https://fleet.example.com/token")


def run_apart(script: str) -> str:
    """What it prints in an interpreter of its own, where nothing is loaded yet."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert result.stderr == ""
    return result.stdout.strip()
