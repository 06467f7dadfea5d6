"""What reaches a device: two packages, and nothing of the server."""

import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]
NEVER_ON_A_DEVICE = {"django", "djangorestframework", "celery", "psycopg", "torch"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_core_and_agent_only(wheel: zipfile.ZipFile) -> None:
    packages = {name.split("/")[0] for name in wheel.namelist() if ".dist-info" not in name}
    assert packages == {"inference_core", "device_agent"}


def test_the_wheel_carries_its_licence(wheel: zipfile.ZipFile) -> None:
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())


def test_agent_and_onnx_extras_pull_no_server(wheel: zipfile.ZipFile) -> None:
    needed = _closure({"agent", "onnx"}, _metadata_of(wheel))
    assert "onnxruntime" in needed, "the walk over requirements must have walked"
    assert not needed & NEVER_ON_A_DEVICE


def _metadata_of(wheel: zipfile.ZipFile) -> list[str]:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode()).get_all("Requires-Dist", [])


def _closure(extras: set[str], own: list[str]) -> set[str]:
    """Names of all distributions that the extras need, by what is installed here."""
    todo = [("linewarden", frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        todo += _requirements(own if name == "linewarden" else _requires(name), wanted)
    return {name for name, _ in seen}


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _requirements(lines: list[str], extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    found = []
    for requirement in map(Requirement, lines):
        environments = [{"extra": extra} for extra in extras] or [{"extra": ""}]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            normal = re.sub(r"[-_.]+", "-", requirement.name).lower()
            found.append((normal, frozenset(requirement.extras)))
    return found
