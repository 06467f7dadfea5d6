"""Figures of one device."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from inference_core.contract.base import Document, Message
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.telemetry import Health
from server.accounts.permissions import RoledView
from server.fleet.selectors import device_for
from server.lib import clock
from server.lib.messages import read_data
from server.telemetry.models import HourSummary
from server.telemetry.selectors import FrameFigures, hours_of, latest_health


class FiguresQuery(Document):
    """How far back the figures go."""

    hours: int = Field(default=24, ge=1, le=24 * 90)


class Latency(Message):
    """Milliseconds of one stage."""

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class ReleaseFigures(Message):
    """Frames of one release on one device."""

    release_sha256: str
    frames: int
    passed: int
    failed: int
    lost: dict[str, int]
    faults: dict[str, int]
    latency_ms: dict[str, Latency]


class DeviceFigures(Message):
    """``GET devices/{id}/figures``."""

    hours: int
    releases: tuple[ReleaseFigures, ...]
    health: Health | None


class FiguresView(RoledView):
    """``devices/{id}/figures``."""

    @extend_schema(
        parameters=[OpenApiParameter("hours", int, description="How far back, 24 by default.")],
        responses=DeviceFigures,
    )
    def get(self, request: Request, device_id: UUID) -> Response:
        """Frames, verdicts, losses and latencies by release, and the last health."""
        device = device_for(request.user, device_id)
        query = read_data(FiguresQuery, request.query_params.dict())
        rows = hours_of(device, since=clock.now() - timedelta(hours=query.hours))
        reply = DeviceFigures(
            hours=query.hours,
            releases=_by_release(rows),
            health=latest_health([device.pk]).get(device.pk),
        )
        return Response(reply.model_dump(mode="json"))


def _by_release(rows: QuerySet[HourSummary]) -> tuple[ReleaseFigures, ...]:
    figures: dict[str, FrameFigures] = {}
    for row in rows:
        figures.setdefault(row.release_sha256, FrameFigures()).add(row)
    return tuple(
        ReleaseFigures(
            release_sha256=sha256,
            frames=total.frames,
            passed=total.passed,
            failed=total.failed,
            lost=total.lost,
            faults=total.faults,
            latency_ms={name: _latency(found) for name, found in total.latency.items()},
        )
        for sha256, total in figures.items()
    )


def _latency(histogram: ExponentialHistogram) -> Latency:
    return Latency(
        count=histogram.count,
        mean_ms=histogram.mean,
        p50_ms=histogram.quantile(0.5),
        p95_ms=histogram.quantile(0.95),
        p99_ms=histogram.quantile(0.99),
    )
