from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inference_core.errors import RuntimeUnavailable
from inference_core.tensorrt.gpu import Gpu, find_gpu, find_l4t
from tests.core.tensorrt.engines import make_driver, with_driver


def test_a_machine_without_a_driver_says_so() -> None:
    with pytest.raises(RuntimeUnavailable, match=r"no NVIDIA driver here \(libnothing"):
        find_gpu("libnothing.so.7")


def test_the_drivers_own_error_is_told(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, init=100)

    with pytest.raises(RuntimeUnavailable, match=r"cuInit said CUDA_ERROR_NO_DEVICE \(100\)"):
        find_gpu(str(driver))


def test_the_driver_tells_name_generation_and_cuda(tmp_path: Path) -> None:
    assert find_gpu(str(make_driver(tmp_path))) == Gpu("Orin", "8.7", "12.6")


def test_the_runtime_is_unavailable_without_a_gpu_and_nothing_crashes(tmp_path: Path) -> None:
    code = (
        "from inference_core.runtimes.lookup import available\n"
        "print(available()['tensorrt'].reason)\n"
    )
    environment = with_driver(make_driver(tmp_path, init=100))

    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert "gives no GPU: cuInit said CUDA_ERROR_NO_DEVICE" in done.stdout


def test_a_jetson_tells_its_l4t_release(tmp_path: Path) -> None:
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n")

    assert find_l4t(release) == "36.4.3"


@pytest.mark.parametrize("content", ["", "# Debian 12\n"])
def test_other_machines_have_no_l4t_release(content: str, tmp_path: Path) -> None:
    release = tmp_path / "nv_tegra_release"
    release.write_text(content)

    assert find_l4t(release) == ""
    assert find_l4t(tmp_path / "absent") == ""
