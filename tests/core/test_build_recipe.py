"""The key of a build: equal where nothing differs that matters, told before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_core.contract.build import BuildJob, BuildProgress, ProfileSpec
from inference_core.contract.recipe import BuildRecipe, key_of
from inference_core.errors import BadInput
from inference_core.optimize import publish
from inference_core.optimize.convert import get_builder
from inference_core.optimize.fit import fit
from inference_core.optimize.recipe import describe_build
from inference_core.runtimes.lookup import get_runtime
from tests.core.build_jobs import Child, build, make_job, make_profile
from tests.core.onnx_models import brightness_model


@pytest.fixture
def job(tmp_path: Path) -> BuildJob:
    return make_job(tmp_path, brightness_model(), profile=make_profile("onnxruntime", "fp32"))


def recipe_of(job: BuildJob) -> BuildRecipe:
    runtime = job.profile.runtime
    return describe_build(job, get_builder(runtime), get_runtime(runtime))


def test_the_first_event_has_the_recipe_and_no_later_one(job: BuildJob, tmp_path: Path) -> None:
    first, *others = build(tmp_path, job).events

    assert isinstance(first, BuildProgress)
    assert first.recipe is not None
    assert key_of(first.recipe) == key_of(recipe_of(job))
    assert not any(getattr(event, "recipe", None) for event in others)


def test_the_same_job_in_another_folder_has_the_same_key(job: BuildJob) -> None:
    elsewhere = job.model_copy(
        update={"model_path": "/m", "golden_dir": "/g", "calibration_dir": "/c", "output_dir": "/o"}
    )
    assert key_of(recipe_of(job)) == key_of(recipe_of(elsewhere))


@pytest.mark.parametrize(
    "change",
    [
        {"source_sha256": "d" * 64},
        {"golden_sha256": "d" * 64},
        {"calibration_sha256": "d" * 64},
        {"benchmark_runs": 6},
        {"limits": {"min_agreement": 0.5}},
        {"profile": make_profile("onnxruntime", "fp32", "int8")},
        {"profile": make_profile("openvino", "fp32")},
        {"profile": make_profile("onnxruntime", "fp32") | {"threads": 2}},
    ],
    ids=str,
)
def test_whatever_decides_what_is_certified_changes_the_key(
    job: BuildJob, change: dict[str, Any]
) -> None:
    other = BuildJob.model_validate({**job.model_dump(), **change})
    assert key_of(recipe_of(job)) != key_of(recipe_of(other))


def test_another_machine_or_another_tool_has_another_key(job: BuildJob) -> None:
    recipe = recipe_of(job)
    assert recipe.tools["onnxruntime"]
    for change in ({"measured_on": "another chip"}, {"tools": {**recipe.tools, "onnx": "0"}}):
        assert key_of(recipe.model_copy(update=change)) != key_of(recipe)


def test_a_machine_says_which_profiles_it_may_build_for(job: BuildJob, tmp_path: Path) -> None:
    here = tmp_path / "here.json"
    here.write_bytes(job.profile.to_json())
    away = job.profile.model_copy(update={"name": "pi", "architecture": "aarch64"})
    (tmp_path / "away.json").write_bytes(away.to_json())

    answer = Child("fit", str(here), str(tmp_path / "away.json"))

    assert answer.code == 1
    assert "x86-onnxruntime: can be built here" in answer.out
    assert "pi: the profile is for aarch64, and this machine is x86_64" in answer.out


def test_an_engine_of_a_version_that_is_not_here_is_not_built_here(job: BuildJob) -> None:
    engine = {"runtime": "tensorrt", "tensorrt": {"flavour": "rtx", "version": "0.9"}}
    found = fit(ProfileSpec.model_validate({**job.profile.model_dump(), **engine}))
    assert "the profile's devices have version 0.9, and here is" in str(found.problem)


def test_a_path_that_is_none_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput, match="cannot be written"):
        publish.write_whole(tmp_path / "file" / "below", b"x")
