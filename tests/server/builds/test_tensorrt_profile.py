"""TensorRT for RTX: engines are really built here, and never certified without a GPU."""

from __future__ import annotations

import pytest

from inference_core.errors import RuntimeUnavailable
from inference_core.tensorrt.gpu import find_gpu
from server.builds import selectors, services, worker
from server.builds.models import Artifact
from server.builds.states import BuildState
from server.fleet.models import HardwareProfile
from server.registry.models import ModelVersion
from tests.server import catalogue
from tests.server.builds.certified import stored_version


def has_gpu() -> bool:
    try:
        find_gpu()
    except RuntimeUnavailable:
        return False
    return True


pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(has_gpu(), reason="this machine has a GPU, which can judge the engine"),
]


@pytest.fixture
def profile(db: None) -> HardwareProfile:
    return HardwareProfile.objects.create(
        name="x86-rtx-1.7",
        title="PCs with an RTX card",
        runtime="tensorrt",
        architecture="x86_64",
        precisions=["fp32", "int8"],
        threads=1,
        tensorrt={"flavour": "rtx", "compute_capabilities": ["8.6", "12.0"]},
    )


@pytest.fixture
def version(profile: HardwareProfile) -> ModelVersion:
    return stored_version(catalogue.vision_model())


def test_a_worker_without_a_gpu_leaves_it_for_its_twin_and_makes_no_artifact(
    version: ModelVersion, profile: HardwareProfile, caplog: pytest.LogCaptureFixture
) -> None:
    """Engines could be built here, but not judged; nothing is certified that did not run."""
    build = services.queue_build(version=version, profile=profile, actor="test")

    worker.run_build(build.pk)

    build.refresh_from_db()
    assert (build.state, build.attempts) == (BuildState.QUEUED, 0)
    assert "is left for its twin: there is no NVIDIA driver here" in caplog.text
    assert not Artifact.objects.exists()
    assert "start one on such hardware" in selectors.unserved_because(build)


def test_an_engine_that_no_gpu_here_can_run_ends_in_a_sentence_and_in_no_artifact(
    version: ModelVersion,
    profile: HardwareProfile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a card was there when the worker began, and is gone when the child loads the engine."""
    monkeypatch.setattr(worker.twins, "problem_of", lambda _: "")
    build = services.queue_build(version=version, profile=profile, actor="test")

    worker.run_build(build.pk)

    build.refresh_from_db()
    assert (build.state, build.attempts) == (BuildState.FAILED, 1), build.log
    assert (
        "fp32 was built, but cannot be run here, so it is not certified: "
        "there is no NVIDIA driver here" in build.reason
    )
    assert f"let the builder of {profile} work on that hardware" in build.reason
    assert [(c["precision"], c["outcome"]) for c in build.candidates] == [
        ("fp32", "failed"),
        ("int8", "failed"),
    ]
    assert all(candidate["size_bytes"] > 10_000 for candidate in build.candidates)
    assert not Artifact.objects.exists()
