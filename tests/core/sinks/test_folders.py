"""An address reads and writes what the person at the box allowed, and nothing else."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from inference_core.contract.addresses import OUTPUT_VARIABLE, SECRETS_VARIABLE
from inference_core.errors import BadInput
from inference_core.pipeline.sinks import open_sink
from inference_core.pipeline.sinks.address import parse_address
from inference_core.pipeline.sinks.base import Parcel, Unreachable
from inference_core.pipeline.sinks.files import _JsonLinesFile, _OverlayFolder

from .results import frame, result

NOBODY = 65534
SECURITY = "opc.tcp://h/?node=ns=2;s=a&security=Basic256Sha256,Sign"


def read(name: str) -> str | None:
    return parse_address(f"mqtt://h/t?secret={name}").read_secret()


def test_a_secret_is_the_text_of_the_file_that_is_named(
    secrets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (secrets / "line-1.key").write_text("hunter2\n")
    assert read("line-1.key") == "hunter2"
    assert parse_address("mqtt://h/t").read_secret() is None
    assert caplog.text == ""


def test_a_folder_that_everybody_may_enter_is_told(
    secrets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (secrets / "line").write_text("hunter2")
    secrets.chmod(0o755)
    with caplog.at_level(logging.WARNING):
        assert read("line") == "hunter2"
    assert "chmod o=" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "name", ["../outside", "%2E%2E%2Foutside", "/etc/passwd", "..", ".hidden", "a/b", "a%00", ""]
)
def test_no_name_leads_out_of_the_folder(secrets: Path, name: str) -> None:
    (secrets.parent / "outside").write_text("hunter2")
    (secrets / ".hidden").write_text("hunter2")
    with pytest.raises(BadInput, match="takes the name of a file"):
        read(name)


@pytest.mark.parametrize("option", ["secret_file", "secret_env"])
def test_what_named_any_file_or_variable_is_gone(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    (secrets / "line").write_text("hunter2")
    monkeypatch.setenv("LINE_SECRET", "hunter2")
    value = secrets / "line" if option == "secret_file" else "LINE_SECRET"
    for place in ("mqtt://h/t", "https://h/hook"):
        with pytest.raises(BadInput, match=f"{option}= is no longer taken: .*secret=NAME"):
            open_sink(f"{place}?{option}={value}")


@pytest.mark.parametrize(
    "address", ["mqtt://h/t?secret=link", "mqtts://h/t?ca=link", "https://h/?ca=link"]
)
def test_a_link_in_the_folder_is_refused_wherever_it_leads(secrets: Path, address: str) -> None:
    (secrets / "real").write_text("hunter2")
    (secrets / "link").symlink_to(secrets / "real")
    with pytest.raises(BadInput, match="cannot be read"):
        open_sink(address)


@pytest.mark.parametrize("files", ["link,key.pem", "cert.pem,link", "cert.pem,key.pem,link"])
def test_the_files_of_an_encrypted_plc_are_no_links_either(secrets: Path, files: str) -> None:
    for name in ("cert.pem", "key.pem"):
        (secrets / name).write_text("")
    (secrets / "link").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="file that security= names cannot be read"):
        open_sink(f"{SECURITY},{files}")


def test_a_pipe_a_folder_and_too_much_are_refused_and_hold_nobody_up(secrets: Path) -> None:
    os.mkfifo(secrets / "pipe")
    (secrets / "folder").mkdir()
    (secrets / "long").write_text("x" * 4097)
    (secrets / "empty").write_text("\n")
    (secrets / "bytes").write_bytes(b"\xff\xfehunter2")
    for name, reason in {
        "pipe": "no regular file",
        "folder": "no regular file",
        "long": "over 4096 bytes",
        "empty": "is empty",
        "bytes": "no UTF-8",
        "absent": "No such file",
    }.items():
        with pytest.raises(BadInput, match=reason) as refused:
            read(name)
        assert "hunter2" not in str(refused.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(secrets: Path) -> None:
    (secrets / "theirs").write_text("hunter2")
    os.chown(secrets / "theirs", NOBODY, NOBODY)
    with pytest.raises(BadInput, match="neither root nor the folder's owner"):
        read("theirs")
    os.chown(secrets, NOBODY, NOBODY)
    assert read("theirs") == "hunter2"


def test_without_a_folder_for_secrets_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRETS_VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(BadInput, match="No such file"):
        read("line")


@pytest.mark.parametrize("address", ["jsonl:///f.jsonl", "overlay:///pictures"])
def test_without_an_output_folder_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.delenv(OUTPUT_VARIABLE, raising=False)
    with pytest.raises(BadInput, match="set output_dir in the agent's settings at the box"):
        open_sink(address)


@pytest.mark.parametrize("scheme", ["jsonl", "overlay"])
@pytest.mark.parametrize(
    "path", ["/../outside", "/a/../../outside", "/%2E%2E/outside", "//tmp/outside", "/.", "/a//b"]
)
def test_no_path_leads_out_of_the_output_folder(output: Path, scheme: str, path: str) -> None:
    with pytest.raises(BadInput, match="write three slashes and a name"):
        open_sink(f"{scheme}://{path}")
    assert list(output.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["/file", "/folder/new", "/folder/../folder", "/dangling", "/self"]
)
@pytest.mark.parametrize("scheme", ["jsonl", "overlay"])
def test_a_link_out_of_the_output_folder_is_refused(output: Path, scheme: str, path: str) -> None:
    outside = output.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (output / "file").symlink_to(outside / "kept")
    (output / "folder").symlink_to(outside)
    (output / "dangling").symlink_to(outside / "absent")
    (output / "self").symlink_to(output)
    with pytest.raises(BadInput, match="output folder"):
        open_sink(f"{scheme}://{path}")
    assert [item.name for item in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "kept"


def test_a_link_that_is_made_later_is_refused_too(output: Path) -> None:
    outside = output.parent / "outside"
    outside.mkdir()
    lines, pictures = _JsonLinesFile("/a/lines", 1000), _OverlayFolder("/a", 10)
    (output / "a").symlink_to(outside)
    for link in (lines, pictures):
        with pytest.raises(Unreachable, match="over a link"):
            link.deliver(Parcel(result(), frame().picture))
    assert list(outside.iterdir()) == []


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(output: Path) -> None:
    os.mkfifo(output / "pipe")
    with pytest.raises(Unreachable):
        _JsonLinesFile("/pipe", 1000).deliver(Parcel(result()))


def test_the_output_folder_itself_may_be_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "output").symlink_to(tmp_path / "disk")
    monkeypatch.setenv(OUTPUT_VARIABLE, str(tmp_path / "output"))
    _JsonLinesFile("/lines", 1000).deliver(Parcel(result()))
    assert (tmp_path / "disk" / "lines").read_bytes() == result().to_json() + b"\n"
