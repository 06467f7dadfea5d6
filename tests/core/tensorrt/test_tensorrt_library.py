from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inference_core.tensorrt.library import find_library
from tests.core.tensorrt import engines  # noqa: F401  # skips where there is no TensorRT

STUB = """
__version__ = {version!r}
class ILogger:
    class Severity:
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)
    def __init__(self): pass
"""


def ask(code: str, folder: Path) -> str:
    """What a fresh process says that finds ``folder`` before the installed packages."""
    child = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return child.stdout.strip()


FIND = """
from inference_core.errors import RuntimeUnavailable
from inference_core.tensorrt.library import find_library
try:
    print(find_library(FLAVOUR).title)
except RuntimeUnavailable as error:
    print(error)
"""


def find(flavour: str | None, folder: Path) -> str:
    return ask(FIND.replace("FLAVOUR", repr(flavour)), folder)


def test_the_rtx_bindings_are_found_without_nvidias_front_package() -> None:
    library = find_library("rtx")

    assert library.title == f"TensorRT for RTX {library.version}"
    assert library.builds_for_absent_gpus


@pytest.mark.parametrize("version", ["10.3.0.26", "11.4.1.7"])
def test_tensorrt_comes_before_rtx_where_both_are_installed(version: str, tmp_path: Path) -> None:
    (tmp_path / "tensorrt.py").write_text(STUB.format(version=version))

    assert find(None, tmp_path) == f"TensorRT {version}"


def test_a_version_before_10_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tensorrt.py").write_text(STUB.format(version="8.5.2.2"))

    assert find("tensorrt", tmp_path) == (
        "TensorRT 8.5.2.2 is too old; 10 or later is needed (JetPack 6 or later)"
    )


def test_bindings_without_their_library_say_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open')")

    assert find("tensorrt", tmp_path).startswith(
        "TensorRT cannot be imported (libnvinfer.so.10: cannot open); on a Jetson"
    )


def test_nothing_installed_says_what_to_install(tmp_path: Path) -> None:
    hide = "import inference_core.tensorrt.library as m\nm.find_spec = lambda name: None\n"

    said = ask(hide + FIND.replace("FLAVOUR", "None"), tmp_path)

    assert "pip install 'linewarden[tensorrt]'" in said
    assert "pip install 'linewarden[tensorrt-rtx]'" in said


def test_the_log_keeps_the_latest_errors_only() -> None:
    library = find_library("rtx")
    severity = library.api.ILogger.Severity
    library.log.errors.clear()

    for number in range(50):
        words = f"error {number}"
        library.log.log(severity.ERROR, words)
    library.log.log(severity.WARNING, "only a warning")

    assert library.log.errors[-1] == "error 49"
    assert len(library.log.errors) <= 20
    library.log.errors.clear()
