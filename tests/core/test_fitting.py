"""A machine builds for a profile only where it is what the profile's devices are."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.contract.build import ProfileSpec
from inference_core.contract.words import ComputeDevice, RuntimeName
from inference_core.errors import LoadFailed, RuntimeUnavailable
from inference_core.optimize.build import run_build
from inference_core.optimize.fit import fit
from inference_core.optimize.fitting import require_builder_fits
from inference_core.runtimes.base import SessionOptions
from inference_core.runtimes.lookup import get_runtime
from tests.core.build_jobs import make_job, make_profile
from tests.core.onnx_models import brightness_manifest, brightness_model, save


def profile(**changes: object) -> ProfileSpec:
    fields = {"runtime": "openvino", "precisions": ("fp32",), **changes}
    return ProfileSpec.model_validate(make_profile() | fields)


def test_another_version_than_the_profile_names_builds_nothing(tmp_path: Path) -> None:
    pinned = profile(name="movidius-openvino2022.3", runtime_version="2022.3")
    job = make_job(tmp_path, brightness_model(), profile=pinned)
    with pytest.raises(
        RuntimeUnavailable,
        match=r"devices of movidius-openvino2022\.3 have openvino 2022\.3, and here is 20.*build",
    ):
        run_build(job, lambda _: None)


def test_the_version_that_the_profile_names_builds(tmp_path: Path) -> None:
    here = get_runtime(RuntimeName.OPENVINO).version()
    require_builder_fits(profile(runtime_version=here), get_runtime(RuntimeName.OPENVINO))
    first = here.split(".", maxsplit=1)[0]
    require_builder_fits(profile(runtime_version=first), get_runtime(RuntimeName.OPENVINO))


@pytest.mark.parametrize("device", [ComputeDevice.NPU, ComputeDevice.MYRIAD])
def test_a_device_that_is_not_here_is_named_with_those_that_are(
    tmp_path: Path, device: ComputeDevice
) -> None:
    runtime = get_runtime(RuntimeName.OPENVINO)
    with pytest.raises(
        RuntimeUnavailable, match=rf"finds no {device.value.upper()} here, only.*CPU"
    ):
        require_builder_fits(profile(compute_device=device), runtime)
    path = save(brightness_model(), tmp_path / "model.onnx")
    options = SessionOptions(compute_device=device)
    with pytest.raises(LoadFailed, match=device.value.upper()):
        runtime.load(path, brightness_manifest(), options)


def test_a_runtime_without_a_choice_is_given_none() -> None:
    with pytest.raises(ValueError, match="only OpenVINO has a choice"):
        profile(runtime="onnxruntime", compute_device="gpu")


def test_a_machine_of_another_version_or_without_the_device_is_no_twin() -> None:
    pinned = fit(profile(name="movidius-openvino2022.3", runtime_version="2022.3"))
    assert pinned.problem is not None
    assert "build where that version is installed" in pinned.problem
    elsewhere = fit(profile(compute_device=ComputeDevice.NPU))
    assert elsewhere.problem is not None
    assert "finds no NPU here" in elsewhere.problem
    assert fit(profile()).problem is None
