"""The signed repository over HTTP: whole, in ranges, and cached as far as its names allow."""

from __future__ import annotations

import hashlib

import pytest

from inference_core.contract.release import TargetCustom, artifact_path
from server.device_gateway.files import Part, read_range
from server.lib import blobs
from server.trust.repository import TargetToSign
from server.trust.services import publish_targets
from tests.server.box import Box

pytestmark = pytest.mark.django_db

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PROFILE = "x86-onnxruntime"
PATH = f"tuf/targets/{PROFILE}/artifacts/{SHA256}.{SHA256}"


@pytest.fixture
def artifact(box: Box) -> Box:
    """A box, and an artifact that is signed for its profile."""
    blobs.put_bytes(CONTENT)
    custom = TargetCustom(kind="artifact", profile=PROFILE)
    target = TargetToSign(artifact_path(PROFILE, SHA256), SHA256, len(CONTENT), custom)
    publish_targets(PROFILE, [target])
    return box


def body(answer: object) -> bytes:
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]  # a streamed answer


def test_a_target_is_served_whole_under_its_hashed_name(artifact: Box) -> None:
    answer = artifact.get(PATH)
    assert answer.status_code == 200
    assert body(answer) == CONTENT
    assert answer["ETag"] == f'"{SHA256}"'
    assert "immutable" in answer["Cache-Control"]
    assert answer["Content-Length"] == str(len(CONTENT))


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, len(CONTENT)),
        ("bytes=-10", len(CONTENT) - 10, len(CONTENT)),
        ("bytes=500000-99999999", 500_000, len(CONTENT)),
    ],
)
def test_a_range_is_served_exactly(artifact: Box, header: str, start: int, end: int) -> None:
    answer = artifact.get(PATH, Range=header)
    assert answer.status_code == 206
    assert body(answer) == CONTENT[start:end]
    assert answer["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


def test_a_range_behind_the_end_is_416_with_the_length(artifact: Box) -> None:
    answer = artifact.get(PATH, Range=f"bytes={len(CONTENT)}-")
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("header", ["bytes=1-2,5-6", "lines=1-2", "bytes=5-1", "bytes=-", "x"])
def test_a_range_that_is_none_gets_the_whole(artifact: Box, header: str) -> None:
    assert artifact.get(PATH, Range=header).status_code == 200


def test_a_range_of_other_bytes_gets_the_whole(artifact: Box) -> None:
    answer = artifact.get(PATH, **{"Range": "bytes=1-2", "If-Range": '"older"'})
    assert answer.status_code == 200


def test_an_empty_suffix_is_unsatisfiable() -> None:
    assert read_range("bytes=-0", 10) == Part(10, 0)


def test_what_is_known_already_is_not_sent_again(artifact: Box) -> None:
    assert artifact.get(PATH, **{"If-None-Match": f'"{SHA256}"'}).status_code == 304


def test_the_timestamp_is_never_cached_and_versions_are_for_ever(artifact: Box) -> None:
    timestamp = artifact.get("tuf/metadata/timestamp.json")
    root = artifact.get("tuf/metadata/1.root.json")
    assert "no-cache" in timestamp["Cache-Control"]
    assert "immutable" in root["Cache-Control"]
    known = artifact.get("tuf/metadata/timestamp.json", **{"If-None-Match": timestamp["ETag"]})
    assert known.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "metadata/2.root.json",
        "metadata/../settings.json",
        "metadata/root",
        "targets/etc/passwd",
        "targets/../../secret_key",
        f"targets/{PROFILE}/artifacts/{'0' * 64}.{SHA256}",
    ],
)
def test_what_is_not_signed_is_not_served(artifact: Box, path: str) -> None:
    assert artifact.get(f"tuf/{path}").status_code == 404
