"""What runs on a device is written in Python 3.10, JetPack 6 has no newer one."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path
    for package in ("inference_core", "device_agent")
    for path in (REPOSITORY / package).rglob("*.py")
)
OLDEST = (3, 10)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_module_of_the_device_is_written_in_the_oldest_python(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=OLDEST)


@pytest.mark.parametrize(
    "newer", ["try:\n    f()\nexcept* OSError:\n    g()", "def first[T](items: list[T]) -> T: ..."]
)
def test_newer_syntax_would_be_noticed(newer: str) -> None:
    with pytest.raises(SyntaxError):
        ast.parse(newer, feature_version=OLDEST)
