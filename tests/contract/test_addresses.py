"""Addresses of sinks: which the server takes, and which it refuses without repeating them."""

from __future__ import annotations

import pytest

from inference_core.contract.addresses import SINK_SCHEMES, check_sink

GOOD = [
    "jsonl:///line1/verdicts.jsonl?max_mb=64",
    "overlay:///overlays?keep=1000",
    "mqtt://line@broker:1883/line1/top?secret=mqtt-1",
    "mqtts://broker/line1?ca=ca.pem&cert=cert.pem&key=key.pem&secret=mqtt_2",
    "http://[::1]:8080/hook?line=1",
    "https://host/hook?ca=ca.pem&secret=hook&mail=a%40b",
    "modbus://plc/1?register=100&coil=0&heartbeat_s=1&max_age_s=2",
    "opc.tcp://line@plc:4840/?node=ns=2;s=Line1&security=Basic256Sha256,SignAndEncrypt,c.der,k.pem",
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


@pytest.mark.parametrize(
    "options",
    [
        "secret=/etc/passwd",
        "secret=%2Fetc%2Fpasswd",
        "secret=../hunter2",
        "secret=..",
        "secret=.hunter2",
        "secret=a/hunter2",
        "secret=a%00hunter2",
        "secret=hunter2%0A",
        "secret=Hunter2",
        "secret=",
        "secret=good&secret=/hunter2",
        "ca=/var/lib/hunter2.key",
        "ca=../hunter2",
    ],
)
@pytest.mark.parametrize("place", ["mqtts://broker/t", "https://host/hook"])
def test_only_a_file_of_the_folder_for_secrets_can_be_named(place: str, options: str) -> None:
    with pytest.raises(ValueError, match="name of a file in the device's folder") as refused:
        check_sink(f"{place}?{options}")
    assert "unter2" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "mqtts://broker/t?cert=/c.pem&key=k.pem",
        "mqtts://broker/t?cert=c.pem&key=../k.pem",
        "opc.tcp://plc/?node=ns=2;s=a&security=Basic256Sha256,Sign,/c.der,k.pem",
        "opc.tcp://plc/?node=ns=2;s=a&security=Basic256Sha256,Sign,c.der,k.pem,../s.der",
        "opc.tcp://plc/?node=ns=2;s=a&security=Basic256Sha256,Sign,c.der,k.pem::hunter2",
    ],
)
def test_certificates_and_keys_are_named_the_same_way(address: str) -> None:
    with pytest.raises(ValueError, match="name of a file in the device's folder") as refused:
        check_sink(address)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("option", ["secret_file", "secret_env"])
@pytest.mark.parametrize("place", ["mqtt://broker/t", "https://host/hook", "jsonl:///f"])
def test_what_named_any_file_or_variable_is_refused_with_what_to_write(
    place: str, option: str
) -> None:
    with pytest.raises(ValueError, match=f"{option}= is no longer taken: .* secret=NAME"):
        check_sink(f"{place}?{option}=hunter2")


@pytest.mark.parametrize("scheme", ["jsonl", "overlay"])
@pytest.mark.parametrize(
    "path",
    [
        "/../x",
        "/a/../../x",
        "/a/%2E%2E/x",
        "//etc/x",
        "/a//x",
        "/./x",
        "/a/",
        "/",
        "",
        "/a%5Cx",
        "/%00",
    ],
)
def test_files_lie_in_the_output_folder_of_the_device(scheme: str, path: str) -> None:
    with pytest.raises(ValueError, match="output folder: write three slashes"):
        check_sink(f"{scheme}://{path}")
