"""Addresses of sinks: clear errors, and no secret in any of them."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from inference_core.contract.addresses import SINK_SCHEMES
from inference_core.errors import BadInput
from inference_core.pipeline.sinks import open_sink, open_sinks
from inference_core.pipeline.sinks.address import parse_address
from inference_core.pipeline.sinks.lookup import _MODULES

from .results import frame, result


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ftp://host/file", "ftp://… is not supported; use jsonl://"),
        ("just words", "is not supported"),
        ("mqtt://host:99999/topic", "is no address"),
        ("mqtt://host", "no \\+ or # in the topic"),
        ("mqtt://host/line/%23", "no \\+ or # in the topic"),
        ("http://host/#hunter2", "write %23 where one is meant"),
        ("mqtt://host/%2B/x", "no \\+ or # in the topic"),
        ("mqtt://host/topic?qos=0", "no option 'qos'; there are ca, cert, key"),
        ("mqtts://host/topic?ca=there.pem", "file that ca= names cannot be read"),
        ("http:///path", "names no host"),
        ("https://host/?ca=there.pem", "file that ca= names cannot be read"),
        ("http://user@host/", "takes no user"),
        ("http://host/?secret=there", "file that secret= names cannot be read"),
        ("http://host/?secret_env=HOME", "secret_env= is no longer taken"),
        ("modbus://plc/999", "unit from 0 to 255"),
        ("modbus://plc/1?register=70000", "register is a number from 0 to 65526"),
        ("modbus://plc/1?register=high", "register is a number"),
        ("modbus://plc/1?heartbeat_s=nan", "heartbeat_s is a number"),
        ("opc.tcp://plc:4840/", "string NodeId"),
        ("opc.tcp://plc/?node=17;;", "string NodeId"),
        ("jsonl://elsewhere/file", "three slashes"),
        ("jsonl:///", "write three slashes"),
        ("overlay:///folder?keep=0", "keep is a number from 1"),
    ],
)
@pytest.mark.usefixtures("secrets", "output")
def test_a_wrong_address_says_what_is_wrong(address: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        open_sink(address)


@pytest.mark.parametrize("scheme", ["mqtt", "https", "modbus", "opc.tcp"])
def test_a_password_in_an_address_is_refused_and_not_repeated(scheme: str) -> None:
    with pytest.raises(BadInput, match="write secret=NAME") as refused:
        open_sink(f"{scheme}://line:hunter2@host/topic?token=hunter3")
    assert "hunter" not in str(refused.value)


def test_a_password_that_is_taken_for_a_port_is_not_repeated() -> None:
    with pytest.raises(BadInput, match="is no address") as refused:
        open_sink("mqtt://line:hunter/2@host/topic")
    assert "hunter" not in str(refused.value)


def test_the_contract_names_every_scheme_and_no_other() -> None:
    assert set(SINK_SCHEMES) == set(_MODULES)


def test_what_is_shown_has_no_user_and_no_query() -> None:
    address = parse_address("https://line@host:8443/hook?token=hunter2&secret=s")
    assert address.shown == "https://host:8443/hook"
    assert parse_address("mqtt://[::1]:1883/a/b").shown == "mqtt://[::1]:1883/a/b"


def test_a_wrong_sink_is_told_and_the_others_work(
    output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = output / "verdicts.jsonl"
    with caplog.at_level(logging.ERROR):
        sinks = open_sinks(["jsonl:///verdicts.jsonl", "ftp://host:hunter2@x", "mqtt://nowhere"])
    assert len(sinks) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "hunter2" not in caplog.text
    sinks.write(frame(), result())
    sinks.close(10)
    assert file.read_bytes() == result().to_json() + b"\n"


@pytest.mark.parametrize(
    ("package", "address", "extra"),
    [
        ("paho", "mqtt://h/t", "mqtt"),
        ("pymodbus", "modbus://h/1", "plc"),
        ("asyncua", "opc.tcp://h/?node=ns=2;s=Line1", "plc"),
    ],
)
def test_a_missing_package_says_what_to_install(package: str, address: str, extra: str) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from inference_core.pipeline.sinks import open_sink\n"
        "from inference_core.errors import RuntimeUnavailable\n"
        f"try: open_sink({address!r})\n"
        "except RuntimeUnavailable as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert f"pip install 'linewarden[{extra}]'" in done.stdout


def test_the_sinks_of_a_pipeline_cost_no_network_package() -> None:
    script = (
        "import sys, inference_core.pipeline.sinks\n"
        "print({'paho', 'pymodbus', 'asyncua', 'requests'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
