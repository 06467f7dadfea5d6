"""Figures of one device, its health, and what happened on it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from pydantic import Field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from inference_core.contract.base import Document, Message
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.telemetry import Gap, Health
from server.accounts.permissions import RoledView
from server.fleet.selectors import device_for
from server.lib import clock
from server.lib.messages import read_data
from server.lib.pagination import pages_by
from server.telemetry.models import HourSummary, TelemetryRecord
from server.telemetry.selectors import FrameFigures, gap_in_words, hours_of, latest_health


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


class EventSerializer(serializers.ModelSerializer):
    """Something that happened on a device; a gap stands for records that never came."""

    name = serializers.SerializerMethodField()
    detail = serializers.SerializerMethodField()

    class Meta:
        model = TelemetryRecord
        fields = ("id", "kind", "name", "detail", "captured_at", "received_at")

    def get_name(self, record: TelemetryRecord) -> str:
        """Name of the event, or gap."""
        return str(record.body.get("name", record.kind))

    def get_detail(self, record: TelemetryRecord) -> str:
        """One sentence for a person; empty for an event whose name says it all."""
        if record.kind == "gap":
            return gap_in_words(Gap.model_validate(record.body))
        return str(record.body.get("detail", ""))


class DeviceEventsView(RoledView, ListAPIView):
    """``devices/{id}/events``: as they came in, the newest first."""

    serializer_class = EventSerializer
    pagination_class = pages_by("-pk")

    def get_queryset(self) -> QuerySet[TelemetryRecord]:
        """Events and gaps of one device; NotFound where it lies outside the caller's scope."""
        if getattr(self, "swagger_fake_view", False):
            return TelemetryRecord.objects.none()
        device = device_for(self.request.user, self.kwargs["device_id"])
        return device.records.filter(kind__in=("event", "gap"))


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
