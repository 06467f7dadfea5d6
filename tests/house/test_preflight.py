"""Before anything is half done, what is missing is said in one sentence."""

import socket
import subprocess
import sys
from pathlib import Path

PREFLIGHT = Path(__file__).resolve().parents[2] / "server" / "preflight.py"


def run_preflight(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", str(PREFLIGHT), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_silent_when_nothing_is_missing(tmp_path: Path) -> None:
    answer = run_preflight("demo", "--data", str(tmp_path / "not yet" / "there"))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert not (tmp_path / "not yet").exists()


def test_it_names_a_port_that_is_taken_and_a_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        answer = run_preflight("run", "--data", str(tmp_path), "--port", port)
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert f"Port {port}" in answer.stderr
    assert "make run PORT=" in answer.stderr


def test_it_refuses_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    answer = run_preflight("run", "--data", str(tmp_path / "data"), "--port", "0")
    assert answer.returncode == 2
    assert "is a file" in answer.stderr


def test_it_says_how_to_get_virtual_environments(tmp_path: Path) -> None:
    code = (
        "import importlib.util, runpy, sys; importlib.util.find_spec = lambda name: None; "
        f"sys.argv[1:] = ['install']; runpy.run_path({str(PREFLIGHT)!r}, run_name='__main__')"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert answer.returncode == 2
    assert "sudo apt install python3-venv" in answer.stderr
