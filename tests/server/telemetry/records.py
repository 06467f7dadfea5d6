"""Records as a device sends them."""

from __future__ import annotations

from typing import Any

from inference_core.contract.histogram import ExponentialHistogram

RELEASE = "d" * 64
AT = "2026-11-22T10:20:30+00:00"


def record(seq: int, body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"seq": seq, "captured_at": AT, "body": body} | changes


def event(seq: int, detail: str = "", **changes: Any) -> dict[str, Any]:
    return record(seq, {"kind": "event", "name": "started", "detail": detail}, **changes)


def gap(first: int, last: int) -> dict[str, Any]:
    body = {"kind": "gap", "first_seq": first, "last_seq": last, "reason": "disk_full"}
    return record(last, body)


def health(seq: int, **figures: Any) -> dict[str, Any]:
    return record(seq, {"kind": "health"} | figures)


def summary(seq: int, *, frames: int, latencies: tuple[float, ...] = (), **changes: Any) -> Any:
    body = {
        "kind": "summary",
        "hour": "2026-11-22T10:00:00Z",
        "camera": "top",
        "release_sha256": RELEASE,
        "frames": frames,
        "verdicts": {"pass": frames - 1, "fail": 1},
        "lost": {"no_input": 2},
        "faults": {"not_finite": 1},
        "latency_ms": {
            "total": ExponentialHistogram.of(latencies).model_dump(mode="json"),
        },
    }
    return record(seq, body | changes)
