"""The sample story with everything real: server, workers, three agents, models, signatures."""

from typing import Any


def test_the_good_release_reaches_every_device(outcome: dict[str, Any]) -> None:
    assert outcome["ok"]
    assert outcome["rollouts"][0]["state"] == "succeeded"
    assert len(outcome["devices"]) == 3
    for device in outcome["devices"]:
        assert device["running_digest"] == device["expected_digest"] != ""


def test_each_profile_runs_bytes_of_its_own(outcome: dict[str, Any]) -> None:
    assert len({device["profile"] for device in outcome["devices"]}) == 3
    assert len({device["running_digest"] for device in outcome["devices"]}) == 3


def test_a_release_that_returns_nan_is_stopped_with_its_cause(outcome: dict[str, Any]) -> None:
    assert outcome["rollouts"][1]["state"] == "stopped"
    assert "not_finite" in outcome["rollouts"][1]["reason"]


def test_devices_tell_of_good_and_bad_boards(outcome: dict[str, Any]) -> None:
    for device in outcome["devices"]:
        verdicts = device["verdicts"]
        assert verdicts["pass"] > 0
        assert verdicts["fail"] > 0
        assert verdicts["pass"] + verdicts["fail"] == device["frames"]
        assert 0 < device["latency_ms"]["p50"] <= device["latency_ms"]["p95"]
