"""Addresses of sinks: which the server takes, and which it refuses without repeating them."""

from __future__ import annotations

import pytest

from inference_core.contract.addresses import SINK_SCHEMES, check_sink

GOOD = [
    "jsonl:///var/log/verdicts.jsonl?max_mb=64",
    "overlay:///var/overlays?keep=1000",
    "mqtt://line@broker:1883/line1/top?secret_file=/etc/mqtt",
    "mqtts://broker/line1?ca=/ca.pem&cert=/cert.pem&key=/key.pem&secret_env=MQTT",
    "http://[::1]:8080/hook?line=1",
    "https://host/hook?ca=/ca.pem&secret_file=/secret&mail=a%40b",
    "modbus://plc/1?register=100&coil=0&heartbeat_s=1&max_age_s=2",
    "opc.tcp://line@plc:4840/?node=ns=2;s=Line1&security=Basic256Sha256,SignAndEncrypt,/c.der,/k.pem",
]

SECRET = [
    "mqtt://line:hunter2@broker/t",
    "mqtt://:hunter2@broker/t",
    "mqtt://line:1234/hunter2@broker/t",
    "mqtt://line:hunter/2@broker/t",
    "mqtt:line:hunter2@broker/t",
    "https://hunter2@host/hook",
    "https://host/hook?token=hunter2",
    "https://host/hook?a=1&access_token=hunter2",
    "https://host/hook?a=1;token=hunter2",
    "https://host/hook?%74oken=hunter2",
    "https://host/hook?Api-Key=hunter2",
    "https://host/hook?key=hunter2",
    "https://host/hook?sig=hunter2",
    "https://host/hook?SECRET_FILE=hunter2",
    "opc.tcp://plc/?node=ns=2;s=Line1&password=hunter2",
    "https://host/hook#token=hunter2",
]


def test_an_example_of_every_scheme_is_among_the_good_ones() -> None:
    assert {address.partition("://")[0] for address in GOOD} == set(SINK_SCHEMES)


@pytest.mark.parametrize("address", GOOD)
def test_every_address_of_the_manual_is_taken(address: str) -> None:
    check_sink(address)


@pytest.mark.parametrize("address", SECRET)
def test_a_secret_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        check_sink(address)
    assert "hunter" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "just words",
        "ftp://host/file",
        " mqtt://host/t",
        "mqtt://[::1/t",
        "mqtt://host:99999/t",
        "mqtt://host/t\nx",
        "mqtt://host/\0",
    ],
)
def test_what_is_no_address_of_a_sink_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"sink starts|no address|line breaks"):
        check_sink(address)
