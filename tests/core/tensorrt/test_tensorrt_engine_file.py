from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from inference_core.archive import pack
from inference_core.errors import LoadFailed
from inference_core.runtimes.tensorrt import RUNTIME
from inference_core.tensorrt.engine_file import (
    FACTS_NAME,
    PLAN_NAME,
    EngineFacts,
    read_facts,
    read_plan,
    refuse_gpu,
    refuse_library,
    write_engine,
)
from inference_core.tensorrt.gpu import Gpu
from inference_core.tensorrt.library import Library, find_library
from tests.core.onnx_models import brightness_manifest
from tests.core.tensorrt.engines import build, make_driver, make_source, with_driver

ORIN = Gpu("Orin", "8.7", "12.6")


def make_facts(**changes: object) -> EngineFacts:
    shape = [1, 3, 32, 48]
    image = {"name": "image", "dtype": "float32", "is_fixed": True}
    fields: dict[str, object] = {
        "key": "a" * 64,
        "flavour": "rtx",
        "version": find_library("rtx").version,
        "architecture": "x86_64",
        "compute_capabilities": ["8.7"],
        "precision": "fp16",
        "inputs": [{**image, "minimum": shape, "optimal": shape, "maximum": shape}],
        "outputs": [{"name": "logits", "shape": shape, "dtype": "float32"}],
    }
    return EngineFacts.model_validate({**fields, **changes})


def write(folder: Path, **changes: object) -> Path:
    path = folder / "a.engine"
    write_engine(path, b"not a plan", make_facts(**changes))
    return path


def test_plan_and_facts_come_back_as_they_were(tmp_path: Path) -> None:
    path = write(tmp_path)

    assert read_facts(path) == make_facts()
    assert read_plan(path) == b"not a plan"


def test_equal_engines_are_equal_files(tmp_path: Path) -> None:
    assert write(tmp_path).read_bytes() == write(tmp_path).read_bytes()


def test_a_flipped_bit_of_the_plan_is_noticed_before_tensorrt_sees_it(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = bytearray(path.read_bytes())
    data[data.index(b"not a plan")] ^= 1
    path.write_bytes(data)

    with pytest.raises(LoadFailed, match="Bad CRC-32"):
        read_plan(path)


@pytest.mark.parametrize("content", [b"", b"vtrt\0\0\0\0", b"PK\x03\x04 cut short"])
def test_a_bare_plan_is_no_artifact(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.engine"
    path.write_bytes(content)

    with pytest.raises(LoadFailed, match="cannot be read"):
        RUNTIME.load(path, brightness_manifest())


@pytest.mark.parametrize("facts", [b"{}", b"[", b'{"schema_version": 2}'])
def test_malformed_facts_are_refused(facts: bytes, tmp_path: Path) -> None:
    pack(tmp_path / "a.engine", {FACTS_NAME: facts, PLAN_NAME: b""})

    with pytest.raises(LoadFailed, match="no engine of ours"):
        RUNTIME.load(tmp_path / "a.engine", brightness_manifest())


def test_an_archive_without_a_plan_is_refused(tmp_path: Path) -> None:
    pack(tmp_path / "a.engine", {FACTS_NAME: make_facts().to_json()})

    with pytest.raises(LoadFailed, match=r"holds no engine\.plan"):
        read_plan(tmp_path / "a.engine")


def test_a_member_that_could_grow_is_refused(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.engine", "w", ZIP_DEFLATED) as archive:
        archive.writestr(FACTS_NAME, b" " * 10_000_000)

    with pytest.raises(LoadFailed, match="stored as it is"):
        read_facts(tmp_path / "a.engine")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": "10.3.0.26", "flavour": "tensorrt"}, "built with TensorRT 10.3.0.26, and"),
        ({"version": "1.7.1.117"}, "built with TensorRT for RTX 1.7.1.117, and here is"),
    ],
)
def test_an_engine_of_another_library_is_refused(changes: dict[str, object], reason: str) -> None:
    library = find_library("rtx")

    assert refuse_library(make_facts(), library) is None
    assert reason in (refuse_library(make_facts(**changes), library) or "")


def test_the_same_version_of_another_flavour_is_another_library() -> None:
    rtx = find_library("rtx")
    plain = Library("tensorrt", rtx.version, rtx.api, rtx.log)

    assert refuse_library(make_facts(), plain)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"compute_capabilities": ["7.5", "8.7"]}, None),
        ({"device_name": "Orin"}, None),
        ({"compute_capabilities": ["8.6"]}, "for compute capability 8.6, and Orin has 8.7"),
        ({"device_name": "Thor"}, "built on 'Thor' for its kind alone, and here is 'Orin'"),
        (
            {"device_name": "Thor", "hardware_compatibility": "same_compute_capability"},
            None,
        ),
        (
            {
                "device_name": "A10",
                "compute_capabilities": ["8.6"],
                "hardware_compatibility": "ampere_plus",
            },
            None,
        ),
        ({"architecture": "aarch64"}, "built for aarch64, and this machine is x86_64"),
    ],
)
def test_a_gpu_is_refused_unless_the_engine_was_built_for_it(
    changes: dict[str, object], reason: str | None
) -> None:
    said = refuse_gpu(make_facts(**changes), ORIN, "x86_64")

    assert (said is None) if reason is None else (reason in (said or ""))


def test_turing_is_not_ampere() -> None:
    facts = make_facts(hardware_compatibility="ampere_plus", compute_capabilities=["8.6"])

    assert refuse_gpu(facts, Gpu("T4", "7.5", "12.6"), "x86_64")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"outputs": []}, "names the output 'logits', but the graph has none"),
        (
            {"outputs": [{"name": "logits", "shape": [1, 3, 32, 48], "dtype": "float16"}]},
            "'logits' is float16 in the graph",
        ),
        ({"version": "9.9.9"}, "here is TensorRT for RTX"),
        ({"flavour": "tensorrt"}, "linewarden\\[tensorrt\\]"),
    ],
)
def test_the_facts_are_judged_before_driver_and_plan(
    changes: dict[str, object], reason: str, tmp_path: Path
) -> None:
    """There is no GPU here, and the plan is garbage: nobody may have come so far."""
    with pytest.raises(Exception, match=reason):
        RUNTIME.load(write(tmp_path, **changes), brightness_manifest())


def test_a_batch_beyond_the_range_is_refused(tmp_path: Path) -> None:
    path = build(make_source(tmp_path, batch={"optimal": 2, "maximum": 4}), tmp_path)
    shape = [8, 3, 32, 48]
    manifest = brightness_manifest(
        inputs=[{"name": "image", "shape": shape}], outputs=[{"name": "logits", "shape": shape}]
    )

    with pytest.raises(LoadFailed, match=r"takes 'image' from \(1, 3, 32, 48\) to \(4, 3, 32, 48"):
        RUNTIME.load(path, manifest)


def test_an_engine_for_another_gpu_ends_in_a_sentence_and_not_in_a_crash(tmp_path: Path) -> None:
    """A real engine, a child as on a device, and a driver that tells of an Orin."""
    path = build(make_source(tmp_path, compute_capabilities=["8.9"]), tmp_path)
    code = f"""
from pathlib import Path
from inference_core.errors import LoadFailed
from inference_core.runtimes.tensorrt import RUNTIME
from tests.core.onnx_models import brightness_manifest
try:
    RUNTIME.load(Path({str(path)!r}), brightness_manifest())
except LoadFailed as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=with_driver(make_driver(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )

    assert done.stdout.strip() == (
        "fp32.engine does not load: it was built for compute capability 8.9, and Orin has 8.7"
    )
