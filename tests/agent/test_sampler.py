"""Sampling from camera to server: a real agent, a real child, a real budget."""

from __future__ import annotations

from inference_core.contract.sampling import SamplingPolicy
from inference_core.contract.telemetry import Event, Summary
from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository


def test_samples_carry_their_probability_reason_and_hash(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    server.assign(repository.add_release("r1", profile=PROFILE, counter=1))
    device.start()
    device.wait(lambda: len(server.samples) >= 4, "samples")
    metas = sorted((meta for meta, _ in server.samples), key=lambda meta: meta.result.captured_at)
    assert metas[0].inclusion_probability == 1  # a technician sees a picture at once
    assert {meta.inclusion_probability for meta in metas[1:]} == {1 / (50 * 0.5)}  # one grey part
    assert {(meta.reason, meta.phash) for meta in metas} == {("random", "0" * 16)}


def test_a_spent_budget_ends_the_uploads_also_after_a_power_cut(
    device: Device, server: Simulator, repository: SignedRepository
) -> None:
    policy = SamplingPolicy(bytes_per_day=12_000, min_probability=1)
    server.assign(
        repository.add_release("r1", profile=PROFILE, counter=1),
        config=device.config(sampling=policy),
    )
    device.start()
    device.wait(lambda: "sampling-paused" in _events(server), "paused")
    device.kill()
    device.start()
    device.wait(lambda: _events(server).count("sampling-paused") == 2, "paused again")
    server.records.clear()
    device.wait(lambda: _frames(server) > 100, "a hundred frames that nobody may see")
    device.stop()
    sizes = [len(image) + len(meta.to_json()) for meta, image in server.samples]
    assert sizes
    assert sum(sizes) <= 12_000 + 2 * max(sizes)


def _events(server: Simulator) -> list[str]:
    bodies = [record.body for _, record in list(server.records)]
    return [body.name for body in bodies if isinstance(body, Event)]


def _frames(server: Simulator) -> int:
    bodies = [record.body for _, record in list(server.records)]
    return sum(body.frames for body in bodies if isinstance(body, Summary))
