"""Hardware profiles: seeded, matched by facts, proposed, made, changed and never lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from inference_core.contract.device import DeviceFacts
from server.accounts.models import AuditEntry, Role
from server.builds.models import Build
from server.fleet import profile_services as services
from server.fleet.enrolment import issue_enrolment_token
from server.fleet.models import Device, HardwareProfile, Line, ProfileProposal
from server.fleet.profiles import match_profiles
from server.fleet.proposals import NewProfile
from server.fleet.seeds import SEEDS
from server.trust.services import ensure_repository
from tests.server import catalogue
from tests.server.box import FACTS, Box

pytestmark = pytest.mark.django_db
Somebody = Callable[..., APIClient]

ORIN = {
    "architecture": "aarch64",
    "system": "linux",
    "cpu_count": 6,
    "memory_bytes": 8 << 30,
    "platform": "jetson",
    "board": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
    "soc": "tegra234",
    "compute_capability": "8.7",
    "runtimes": {"tensorrt": "10.3.0"},
    "software": {"l4t": "36.4.3", "jetpack": "6.2", "cuda": "12.6.11", "tensorrt": "10.3.0.30"},
}
OWN = {
    "name": "own-x86",
    "title": "Our boxes",
    "runtime": "onnxruntime",
    "architecture": "x86_64",
    "precisions": ["fp32"],
}


def facts(body: dict[str, Any], **changes: Any) -> DeviceFacts:
    return DeviceFacts.model_validate(body | changes)


def with_software(**versions: str) -> dict[str, Any]:
    software = ORIN["software"] | versions
    return ORIN | {"software": software, "runtimes": {"tensorrt": software["tensorrt"]}}


@pytest.fixture(autouse=True)
def _seeded(db: None) -> None:
    services.seed_profiles()


@pytest.fixture
def token(line: Line) -> str:
    ensure_repository()
    return issue_enrolment_token(line=line, is_preauthorised=True, uses=9, actor="test").token


@pytest.mark.parametrize(
    ("device", "best"),
    [
        (ORIN, "jetson-orin-nano-jp6.2-trt10.3"),
        (ORIN | {"board": "NVIDIA Jetson AGX Orin Developer Kit"}, "jetson-agx-orin-jp6.2-trt10.3"),
        (with_software(l4t="39.2.0", tensorrt="10.16.1"), "jetson-orin-nano-jp7.2-trt10.16"),
        (
            ORIN
            | {
                "soc": "tegra264",
                "compute_capability": "11.0",
                "software": {"l4t": "39.2.2", "tensorrt": "11.4.1"},
            },
            "jetson-thor-jp7.2-trt11.4",
        ),
        (
            ORIN
            | {
                "soc": "tegra210",
                "compute_capability": "5.3",
                "runtimes": {"onnxruntime": "1.23.2", "tensorrt": "8.2.1"},
                "software": {"l4t": "32.7.4", "tensorrt": "8.2.1"},
            },
            "jetson-nano-onnxruntime",
        ),
        (
            ORIN
            | {
                "platform": "raspberry_pi",
                "soc": "bcm2712",
                "compute_capability": "",
                "accelerators": ["edgetpu-usb"],
                "runtimes": {"litert": "2.3.0", "onnxruntime": "1.32.0"},
                "software": {"os": "debian 12"},
            },
            "coral-usb-litert",
        ),
        (
            FACTS
            | {
                "gpu": "NVIDIA H100 80GB HBM3",
                "compute_capability": "9.0",
                "runtimes": {"tensorrt": "10.16.0", "onnxruntime": "1.32.0"},
            },
            "nvidia-sm90-trt10.16",
        ),
        (
            FACTS
            | {
                "accelerators": ["intel-gpu"],
                "runtimes": {"openvino": "2026.4.1", "onnxruntime": "1.32.0"},
            },
            "x86-openvino",
        ),
    ],
    ids=["orin-nano", "agx-orin", "jp7", "thor", "nano", "coral", "h100", "intel"],
)
def test_the_best_profile_is_the_one_for_this_very_hardware(
    device: dict[str, Any], best: str
) -> None:
    match = match_profiles(facts(device))
    assert match.fitting[0].profile.name == best
    assert "the device is" in match.fitting[0].why


def test_another_tensorrt_is_a_near_miss_that_says_what_differs() -> None:
    match = match_profiles(facts(with_software(tensorrt="10.7.0")))
    assert match.fitting == ()
    nearest = match.near[0]
    assert nearest.profile.name == "jetson-orin-nano-jp6.2-trt10.3"
    assert nearest.why == "needs TensorRT 10.3, the device has 10.7.0"


def test_a_version_is_compared_by_its_numbers() -> None:
    assert match_profiles(facts(with_software(tensorrt="10.30.0"))).fitting == ()


def test_what_a_device_does_not_say_fits_nothing_and_is_told() -> None:
    match = match_profiles(facts(ORIN, compute_capability=""))
    assert match.fitting == ()
    assert "does not say" in match.near[0].why


def test_every_seed_is_fitted_by_some_device_of_its_own() -> None:
    """A row whose requirements contradict each other would be dead."""
    for seed in SEEDS:
        engine, spec, requires = seed.spec.tensorrt, seed.spec, seed.requires
        version = spec.runtime_version or "9.9"
        software = {"l4t": requires.l4t[0]} if requires.l4t else {}
        runtimes = {str(spec.runtime): version}
        if engine:
            key = "tensorrt_rtx" if engine.flavour == "rtx" else "tensorrt"
            runtimes = {key: f"{engine.version}.1"}
        device = facts(
            FACTS,
            architecture=spec.architecture,
            platform=requires.platform or "generic",
            soc=requires.soc,
            board=requires.board,
            accelerators=list(requires.accelerators),
            compute_capability=engine.compute_capabilities[0] if engine else "",
            runtimes=runtimes,
            software=software,
        )
        fitting = [found.profile.name for found in match_profiles(device).fitting]
        assert spec.name in fitting, seed.title


def test_seeds_bear_being_sown_again_and_keep_what_somebody_made_under_their_name() -> None:
    HardwareProfile.objects.filter(name="rpi5-litert").delete()
    own = services.create_profile(
        profile=NewProfile.model_validate(OWN | {"name": "rpi5-litert"}), actor="user:ada"
    )
    before = HardwareProfile.objects.count()
    services.seed_profiles()
    assert HardwareProfile.objects.count() == before == len(SEEDS)
    own.refresh_from_db()
    assert (own.title, own.is_seeded) == ("Our boxes", False)


def test_a_seed_that_artifacts_were_built_by_keeps_its_recipe() -> None:
    version = catalogue.model_version(catalogue.vision_model())
    row = HardwareProfile.objects.get(name="x86-litert")
    HardwareProfile.objects.filter(pk=row.pk).update(threads=7, title="old")
    Build.objects.create(key="k", version=version, profile=row, created_at=timezone.now())
    services.seed_profiles()
    row.refresh_from_db()
    assert (row.threads, row.title) == (7, "x86-64, LiteRT, two threads")


def test_a_box_that_nothing_fits_is_told_and_proposed_and_nothing_is_made(token: str) -> None:
    count = HardwareProfile.objects.count()
    body = with_software(tensorrt="10.7.0")
    for _ in range(2):
        answer = Box().request_enrolment(token, profile=None, facts=body)
        assert answer.status_code == 422
    problem = answer.json()
    assert "No profile fits" in problem["detail"]
    assert "needs TensorRT 10.3, the device has 10.7.0" in problem["detail"]
    assert problem["near"][0]["profile"] == "jetson-orin-nano-jp6.2-trt10.3"
    assert problem["proposed"] == "tegra234-l4t36.4.3-trt10.7.0"
    assert ProfileProposal.objects.get().serial == "box-1"
    assert HardwareProfile.objects.count() == count
    assert not Device.objects.exists()


def test_a_stranger_without_a_token_proposes_nothing() -> None:
    body = with_software(tensorrt="10.7.0")
    assert (
        Box().request_enrolment("no-such-token-at-all", profile=None, facts=body).status_code == 401
    )
    assert not ProfileProposal.objects.exists()


def test_a_box_without_a_runtime_is_told_to_install_one(token: str) -> None:
    answer = Box().request_enrolment(token, profile=None, facts=FACTS | {"runtimes": {}})
    assert answer.json()["proposed"] is None
    assert "linewarden[onnx]" in answer.json()["detail"]


def test_what_an_admin_accepts_is_what_the_box_then_gets(token: str, somebody: Somebody) -> None:
    body = with_software(tensorrt="10.7.0")
    Box().request_enrolment(token, profile=None, facts=body)
    admin = somebody(Role.ADMIN)
    (proposal,) = admin.get("/api/v1/profile-proposals").json()["results"]
    made = admin.post(f"/api/v1/profile-proposals/{proposal['name']}/accept")
    assert made.status_code == 201, made.json()
    assert made.json()["tensorrt"]["version"] == "10.7.0"
    assert Box().enrol(token, profile=None, facts=body)["profile"] == proposal["name"]
    again = admin.post(f"/api/v1/profile-proposals/{proposal['name']}/accept")
    assert again.status_code == 404


def test_a_proposal_that_is_dismissed_is_gone(token: str, somebody: Somebody) -> None:
    Box().request_enrolment(token, profile=None, facts=with_software(tensorrt="10.7.0"))
    address = f"/api/v1/profile-proposals/{ProfileProposal.objects.get().name}/dismiss"
    assert somebody(Role.ADMIN).post(address).status_code == 204
    assert not ProfileProposal.objects.exists()


def test_a_profile_that_the_facts_deny_is_not_given_by_name_either(token: str) -> None:
    wanted = "jetson-orin-nano-jp6.2-trt10.3"
    body = with_software(tensorrt="10.7.0")
    answer = Box().request_enrolment(token, profile=wanted, facts=body)
    assert answer.status_code == 422
    assert "needs TensorRT 10.3, the device has 10.7.0" in answer.json()["detail"]


def test_facts_that_change_are_told_of_and_the_profile_stays(token: str) -> None:
    box = Box()
    box.enrol(token, profile=None, facts=ORIN)
    assert box.device.misfit == ""
    upgraded = with_software(l4t="39.2.0", tensorrt="10.16.1")
    misfit = services.update_facts(device=box.device, facts=facts(upgraded))
    assert "needs TensorRT 10.3, the device has 10.16.1" in misfit
    assert box.device.profile.name == "jetson-orin-nano-jp6.2-trt10.3"
    assert AuditEntry.objects.get(action="update_facts").after["misfit"] == misfit
    assert not ProfileProposal.objects.exists()


def test_facts_that_nothing_fits_any_more_have_a_profile_proposed(token: str) -> None:
    box = Box()
    box.enrol(token, profile=None, facts=ORIN)
    for _ in range(2):
        services.update_facts(device=box.device, facts=facts(with_software(tensorrt="10.7.0")))
    assert ProfileProposal.objects.get().serial == "box-1"


def test_an_admin_says_what_the_device_is_now_and_only_what_its_facts_allow(
    token: str, somebody: Somebody
) -> None:
    box = Box()
    box.enrol(token, profile=None, facts=ORIN)
    services.update_facts(
        device=box.device, facts=facts(with_software(l4t="39.2.0", tensorrt="10.16.1"))
    )
    address, admin = f"/api/v1/devices/{box.device_id}/profile", somebody(Role.ADMIN)
    best = admin.get(address).json()["fitting"][0]["profile"]
    assert best == "jetson-orin-nano-jp7.2-trt10.16"
    wrong = admin.put(address, {"profile": "x86-litert"}, format="json")
    assert (wrong.status_code, "x86_64" in wrong.json()["detail"]) == (422, True)
    right = admin.put(address, {"profile": best}, format="json")
    assert (right.json()["profile"], right.json()["misfit"]) == (best, "")
    assert box.enrol(token, profile=None, facts=ORIN)["profile"] == best
