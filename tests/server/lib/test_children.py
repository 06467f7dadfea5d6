from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.lib.children import ChildLimits, Completed, Ending, run_child, run_core

LIMITS = ChildLimits()


def run_python(
    code: str, *, timeout_s: float = 30, limits: ChildLimits = LIMITS, **how
) -> Completed:
    return run_child([sys.executable, "-c", code], timeout_s=timeout_s, limits=limits, **how)


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def test_it_returns_what_the_child_said_and_how_it_ended() -> None:
    done = run_python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")

    assert done == Completed(3, "out\n", "err\n", Ending.ITSELF)


def test_every_line_arrives_while_the_child_still_runs() -> None:
    lines: list[str] = []
    code = "import time\nprint('first', flush=True)\ntime.sleep(60)"

    done = run_python(code, on_line=lines.append, cancelled=lambda: bool(lines))

    assert lines == ["first"]
    assert done.ending is Ending.CANCELLED
    assert done.returncode == -9


def test_a_last_line_without_an_end_is_not_lost() -> None:
    lines: list[str] = []

    run_python("print('a\\nb', end='')", on_line=lines.append)

    assert lines == ["a", "b"]


def test_a_child_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(note)!r}, 'w').write(str(p.pid))\n"
        "time.sleep(600)"
    )

    done = run_python(code, timeout_s=3)

    assert done.ending is Ending.TIMEOUT
    wait_until_gone(int(note.read_text()))


def test_a_grandchild_that_keeps_the_pipe_open_does_not_keep_us() -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(p.pid)"
    )

    done = run_python(code)

    assert done.ending is Ending.ITSELF
    wait_until_gone(int(done.stdout))


def test_it_learns_nothing_of_the_servers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEWARDEN_SECRET_KEY", "hush")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "server.config.settings")
    monkeypatch.delenv("LINEWARDEN_LITERT_PYTHON", raising=False)

    done = run_python("import os; print(sorted(os.environ))")

    assert "LINEWARDEN" not in done.stdout
    assert "DJANGO" not in done.stdout


def test_it_learns_where_the_converter_to_tflite_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEWARDEN_LITERT_PYTHON", "/opt/converter/bin/python")

    done = run_python("import os; print(os.environ['LINEWARDEN_LITERT_PYTHON'])")

    assert done.stdout.strip() == "/opt/converter/bin/python"


def test_its_folder_is_its_own_and_goes_away() -> None:
    done = run_python("import os; print(os.getcwd()); open('left-behind', 'w').write('x')")

    assert done.returncode == 0
    assert not Path(done.stdout.strip()).exists()


def test_memory_beyond_the_limit_is_denied() -> None:
    limits = ChildLimits(memory_bytes=512 * 1024**2)

    done = run_python("bytearray(1024**3)", limits=limits)

    assert done.returncode == 1
    assert "MemoryError" in done.stderr_tail


def test_a_file_beyond_the_limit_is_denied() -> None:
    done = run_python("open('big', 'wb').write(bytes(2**20))", limits=ChildLimits(file_bytes=2**16))

    assert done.returncode != 0


def test_endless_output_ends_the_child() -> None:
    done = run_python("while True: print('x' * 1000)", limits=ChildLimits(output_bytes=100_000))

    assert done.ending is Ending.OUTPUT
    assert len(done.stdout) == 100_000


def test_endless_errors_cost_no_memory_and_keep_their_end() -> None:
    done = run_python("import sys\nfor i in range(200_000): print('line', i, file=sys.stderr)")

    assert done.stderr_tail.endswith("line 199999\n")
    assert len(done.stderr_tail) <= 8 * 1024


def test_an_error_of_the_caller_kills_the_child(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        f"import os,time; open({str(note)!r},'w').write(str(os.getpid()));print(1); time.sleep(600)"
    )

    def fail(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError):
        run_python(code, on_line=fail)
    wait_until_gone(int(note.read_text()))


def test_the_child_dies_with_a_killed_worker(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    child = f"import os,time; open({str(note)!r},'w').write(str(os.getpid())); time.sleep(600)"
    worker = (
        "import sys; from server.lib.children import *\n"
        f"run_child([sys.executable, '-c', {child!r}], timeout_s=600, limits=ChildLimits())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", worker], env={**os.environ, "PYTHONPATH": "."}
    )
    deadline = time.monotonic() + 30
    while not (note.exists() and note.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)

    process.kill()
    process.wait()

    wait_until_gone(int(note.read_text()))


def test_it_finds_the_core_from_an_empty_folder() -> None:
    done = run_core(["--help"], timeout_s=60, limits=LIMITS)

    assert done.returncode == 0, done.stderr_tail
    assert "inspect" in done.stdout
