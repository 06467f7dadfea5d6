"""One device: what it should run, what it runs, what it sees and how it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

from fleet_ui.access import Sites
from fleet_ui.charts import Chart, draw_histogram, draw_hours, draw_line
from fleet_ui.overlays import Overlay, overlay_of, read_result
from fleet_ui.reads.devices import goal_word, release_names, seen_devices
from fleet_ui.reads.presence import presence_of
from fleet_ui.reads.windows import slot_in_words
from inference_core.contract.device import DeviceFacts
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.results import FrameResult
from inference_core.contract.telemetry import Event, Gap, Health
from server.fleet.clones import is_cloned
from server.fleet.keys import fingerprint
from server.fleet.models import Camera, Device
from server.fleet.profiles import match_profile
from server.fleet.selectors import agent_release_of
from server.fleet.states import DeviceState
from server.lib.errors import NotFound
from server.lib.models import StateEvent
from server.review.models import Sample
from server.rollouts.models import TERMINAL, Deployment
from server.telemetry.models import LogRequest, TelemetryRecord
from server.telemetry.selectors import TOTAL, FrameFigures, gap_in_words, hours_of, recent_events

SAMPLES, EVENTS, HEALTH_RECORDS, HOURS, LOGS = 6, 20, 60, 24, 5


@dataclass(frozen=True)
class StageLatency:
    """Latency of one stage, or of the whole frame (``total``)."""

    name: str
    count: int
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True)
class Figures:
    """Figures of the last 24 hours, all cameras and releases together."""

    sums: FrameFigures
    hours: Chart | None

    @property
    def fail_share(self) -> float | None:
        """Share of judged parts that failed."""
        judged = self.sums.passed + self.sums.failed
        return self.sums.failed / judged if judged else None

    @property
    def stages(self) -> list[StageLatency]:
        """Latency by stage, the whole frame last."""
        names = sorted(self.sums.latency, key=lambda name: (name == TOTAL, name))
        return [_stage_latency(name, self.sums.latency[name]) for name in names]

    @property
    def total(self) -> StageLatency | None:
        """Latency of the whole frame."""
        return _stage_latency(TOTAL, self.sums.latency[TOTAL]) if self.histogram else None

    @property
    def histogram(self) -> Chart | None:
        """Distribution of the latency of whole frames."""
        histogram = self.sums.latency.get(TOTAL)
        return draw_histogram(histogram) if histogram else None


@dataclass(frozen=True)
class HealthView:
    """The latest health record, and how it went before."""

    at: datetime
    now: Health
    cpu_line: str
    memory_line: str
    temperature_line: str

    @property
    def sensors(self) -> list[tuple[str, float]]:
        """Temperatures in °C by sensor, the hottest first."""
        return sorted(self.now.temperatures_c.items(), key=lambda item: -item[1])


@dataclass(frozen=True)
class CameraView:
    """A camera as it is configured, with what its newest frame was; empty is not told."""

    camera: Camera
    state: str


@dataclass(frozen=True)
class SampleView:
    """A sampled frame with what the model saw in it."""

    sample: Sample
    result: FrameResult | None
    overlay: Overlay | None


@dataclass(frozen=True)
class Happening:
    """One line of the history: from the device, or of its state at the server."""

    at: datetime
    what: str
    why: str
    who: str


@dataclass(frozen=True)
class DeviceView:
    """The top of a device's page."""

    device: Device
    presence: str
    goal: str
    running: str
    deployment: Deployment | None
    is_cloned: bool

    @property
    def machine(self) -> str:
        """The board, or failing that the processor, as the device names it."""
        return str(self.device.facts.get("board") or self.device.facts.get("cpu_model") or "–")

    @cached_property
    def fitting(self) -> tuple[str, ...]:
        """Names of the profiles that suit its facts, the best first."""
        facts = DeviceFacts.model_validate(self.device.facts)
        return tuple(found.profile.name for found in match_profile(facts))

    @property
    def odd_variant(self) -> str:
        """The arm that the device takes itself for, where it is another than here."""
        presence = getattr(self.device, "presence", None)
        said = presence.variant if presence else ""
        return said if said != self.device.variant else ""

    @cached_property
    def wanted_agent(self) -> str:
        """Version of the agent that one of its groups wants; empty for none."""
        release = agent_release_of(self.device)
        return release.version if release else ""

    @property
    def window(self) -> tuple[str, ...]:
        """When the line lets it change its release, slot by slot; empty is at any time."""
        window = self.device.line.window
        return tuple(map(slot_in_words, window.slots)) if window else ()

    @property
    def waiting_key(self) -> str:
        """Fingerprint of the key that waits for approval; empty where none waits."""
        if self.device.state == DeviceState.PENDING or self.device.pending_public_key:
            return fingerprint(self.device.pending_public_key or self.device.public_key)
        return ""


def device_view(device_id: UUID, sites: Sites, now: datetime) -> DeviceView:
    """The device; NotFound outside the scope."""
    device = (
        seen_devices(sites)
        .select_related("line__site", "profile", "presence", "desired__target__release")
        .prefetch_related("groups", "cameras")
        .filter(pk=device_id)
        .first()
    )
    if device is None:
        raise NotFound("There is no such device, or it is not at your sites.")
    latest = device.deployments.select_related("rollout").order_by("-updated_at").first()
    phase = latest.phase if latest and latest.phase not in TERMINAL else ""
    presence = getattr(device, "presence", None)
    running = presence.running_sha256 if presence else ""
    return DeviceView(
        device=device,
        presence=presence_of(device, now),
        goal=goal_word(device, getattr(device, "desired", None), phase),
        running=release_names([running]).get(running, "") if running else "",
        deployment=latest,
        is_cloned=is_cloned(presence, now),
    )


def figures_of(device: Device, now: datetime) -> Figures:
    """Sums, histograms and bars by the hour over the summaries of the last 24 hours."""
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    hours = {start + timedelta(hours=hour): (0, 0) for hour in range(HOURS)}
    sums = FrameFigures()
    for row in hours_of(device, since=start):
        sums.add(row)
        passed, failed = hours.get(row.hour, (0, 0))
        hours[row.hour] = (passed + row.passed, failed + row.failed)
    bars = [(f"{at:%H}:00", *counts) for at, counts in hours.items()]
    return Figures(sums, draw_hours(bars) if sums.frames else None)


def health_of(device: Device) -> HealthView | None:
    """The last health records; None where there are none."""
    records = TelemetryRecord.objects.filter(device=device, kind="health").order_by("-captured_at")
    found = [
        (record.captured_at, Health.model_validate(record.body))
        for record in records[:HEALTH_RECORDS]
    ][::-1]
    if not found:
        return None
    at, latest = found[-1]
    return HealthView(
        at=at,
        now=latest,
        cpu_line=draw_line([health.cpu_share for _, health in found]),
        memory_line=draw_line([health.memory_used_share for _, health in found]),
        temperature_line=draw_line([health.temperature_c for _, health in found]),
    )


def cameras_of(device: Device, health: HealthView | None) -> list[CameraView]:
    """Every camera that is configured, by name."""
    states = health.now.cameras if health else {}
    return [CameraView(camera, states.get(camera.name, "")) for camera in device.cameras.all()]


def samples_of(device: Device) -> list[SampleView]:
    """The latest sampled frames, newest first."""
    return [sample_view(sample) for sample in device.samples.order_by("-captured_at")[:SAMPLES]]


def sample_view(sample: Sample) -> SampleView:
    """A sample with its overlay, where its result can be read."""
    result = read_result(sample.result)
    return SampleView(sample, result, overlay_of(result) if result else None)


def logs_of(device: Device) -> list[LogRequest]:
    """The latest requests for its logs, newest first."""
    return list(device.log_requests.order_by("-requested_at")[:LOGS])


def history_of(device: Device) -> list[Happening]:
    """What the device told and what the server decided about it, newest first."""
    lines = [*_told(device), *_decided(device)]
    return sorted(lines, key=lambda line: line.at, reverse=True)[:EVENTS]


def _told(device: Device) -> Iterable[Happening]:
    for record in recent_events(devices=Device.objects.filter(pk=device.pk), limit=EVENTS):
        if record.kind == "gap":
            lost = gap_in_words(Gap.model_validate(record.body))
            yield Happening(record.captured_at, "Gap", lost, "device")
        else:
            event = Event.model_validate(record.body)
            what = event.name.replace("_", " ").replace("-", " ")
            yield Happening(record.captured_at, what.capitalize(), event.detail, "device")


def _decided(device: Device) -> Iterable[Happening]:
    ids = [str(device.pk), *map(str, device.deployments.values_list("pk", flat=True)[:EVENTS])]
    events = StateEvent.objects.filter(subject__in=("device", "deployment"), subject_id__in=ids)
    for event in events.order_by("-at")[:EVENTS]:
        what = f"{event.subject} {event.new}".replace("_", " ").capitalize()
        yield Happening(event.at, what, event.reason, event.actor)


def _stage_latency(name: str, histogram: ExponentialHistogram) -> StageLatency:
    return StageLatency(
        "whole frame" if name == TOTAL else name,
        histogram.count,
        histogram.quantile(0.5),
        histogram.quantile(0.95),
    )
