"""An agent's wheel is held to its bounds before anything of it runs, also where it is signed."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from device_agent.errors import Rejected, Unavailable
from device_agent.launcher import Starts
from device_agent.update import wheel
from device_agent.update.agent_code import AgentCode
from device_agent.update.proof import Proof, Standing
from device_agent.update.wheel import judge_wheel, unpack
from tests.agent.agent_wheel import make_wheel

NEW = "0.2.0"
WELL = Standing(loop=None, contact=None, inference=None)


def saved(folder: Path, **spoilt: Any) -> Path:
    path = folder / "agent.whl"
    path.write_bytes(make_wheel(NEW, **spoilt))
    return path


def test_a_sound_wheel_is_unpacked_whole_with_a_main_of_its_own(tmp_path: Path) -> None:
    path = saved(tmp_path)
    judge_wheel(path, NEW)
    unpack(path, tmp_path / "code")
    told = (tmp_path / "code" / "inference_core" / "__init__.py").read_text()
    assert f'__version__ = "{NEW}"' in told
    assert (tmp_path / "code" / "__main__.py").is_file()
    assert not list(tmp_path.glob(".unpack-*"))


def test_a_folder_that_was_left_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "rotten.py").touch()
    unpack(saved(tmp_path), tmp_path / "code")
    assert not (tmp_path / "code" / "rotten.py").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "/etc/evil.py",
        "device_agent/../../evil.py",
        "device_agent/.hidden.py",
        "device_agent/evil\\..\\x.py",
        "sitecustomize.py",
        "evil.pth",
        "linewarden-0.2.0.data/scripts/evil",
        "requests/__init__.py",
    ],
)
def test_a_file_that_has_no_place_in_an_agent_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no place in an agent"):
        judge_wheel(saved(tmp_path, files={name: b"evil"}), NEW)


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    link = zipfile.ZipInfo("device_agent/link.py")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(Rejected, match="a link"):
        judge_wheel(path, NEW)


def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "MAX_UNPACKED_BYTES", 100_000)
    with pytest.raises(Rejected, match="unpacks to more"):
        judge_wheel(saved(tmp_path), NEW)


def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("device_agent/cli.py", "print('the other one')")
    with pytest.raises(Rejected, match="twice"):
        judge_wheel(path, NEW)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_zip_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "agent.whl").write_bytes(content)
    with pytest.raises(Rejected, match="no sound ZIP"):
        judge_wheel(tmp_path / "agent.whl", NEW)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ({"tag": "cp311-cp311-manylinux_2_17_x86_64"}, "not pure Python"),
        ({"needs": ("not a requirement at all!",)}, "does not say clearly"),
    ],
)
def test_a_wheel_for_another_kind_of_machine_is_refused(
    spoilt: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(Rejected, match=said):
        judge_wheel(saved(tmp_path, **spoilt), NEW)


def test_a_wheel_of_another_version_than_the_signed_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no place in an agent"):
        judge_wheel(saved(tmp_path), "0.3.0")


@pytest.mark.parametrize(
    ("needs", "missing"),
    [
        ({"needs": ("pydantic>=999",)}, "pydantic>=999"),
        ({"needs": ('nobody-has-this; extra == "agent"',)}, r"nobody-has-this \(here: none\)"),
        ({"python": ">=3.99"}, "Python >=3.99"),
    ],
)
def test_what_this_box_lacks_is_named_and_not_installed(
    needs: dict[str, Any], missing: str, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match=f"{missing}.*provision this box anew"):
        judge_wheel(saved(tmp_path, **needs), NEW)


def test_an_agent_without_contact_gives_itself_up_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, proof, _ = on_trial(tmp_path, monkeypatch, limit_s=0)
    proof.look(Standing(loop=None, contact="the server was not reached", inference=None))
    assert proof.failure == "after 0 s: the server was not reached"
    assert code.starts.why == proof.failure
    assert not code.starts.is_proven


def test_an_agent_that_did_well_for_long_enough_is_kept_with_its_counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, proof, counters = on_trial(tmp_path, monkeypatch, limit_s=60)
    proof.look(Standing(loop=None, contact=None, inference="inference does not run"))
    assert not code.starts.is_proven  # it ran under the agent before
    proof.look(WELL)
    proof.look(WELL)
    assert code.starts.is_proven
    assert counters == [7]


def test_an_agent_that_is_kept_leaves_alone_what_is_being_unpacked_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, proof, _ = on_trial(tmp_path, monkeypatch, limit_s=60)
    begun = [tmp_path / ".unpack-next", tmp_path / ("b" * 64)]
    for path in begun:  # the loop's thread is about to try a third agent
        path.mkdir()
    proof.look(WELL)
    proof.look(WELL)
    assert code.starts.is_proven
    assert all(path.is_dir() for path in begun)
    code.prune()
    assert not any(path.exists() for path in begun)


def on_trial(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, limit_s: int
) -> tuple[AgentCode, Proof, list[int]]:
    digest = "a" * 64
    marker = f'{{"code": "{folder}/{digest}", "command": [], "settings": [], "environment": {{}}}}'
    monkeypatch.setenv("LINEWARDEN_LAUNCHED", marker)
    code = AgentCode(folder)
    code.try_next(digest, counter=7, limit_s=limit_s, needs_inference=True)
    assert code.must_prove_itself
    assert code.starts == Starts((digest,), False, 0, 7, limit_s, True)
    counters: list[int] = []
    return code, Proof(code, hold_s=0, on_proven=counters.append), counters
