"""Blobs in S3: a real client against a server of the protocol on loopback."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.files.storage import default_storage
from moto.server import ThreadedMotoServer
from pydantic import ValidationError
from pytest_django import DjangoCaptureOnCommitCallbacks

from server.accounts.models import Role
from server.config.environment import Environment
from server.lib import blobs
from server.lib.errors import Unavailable
from server.lib.storage import FileMissing, StorageAway, require_storage
from server.uploads.models import Upload
from server.uploads.services import inspect_upload
from tests.server import catalogue
from tests.server.box import Box
from tests.server.device_gateway.test_files import CONTENT, PATH, SHA256, artifact, body
from tests.server.uploads.sending import begun, send
from tests.servers import free_port

pytestmark = pytest.mark.django_db
BUCKET = "linewarden"

__all__ = ["artifact"]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-the-tests")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def use(settings: Any, url: str) -> None:
    """As ``LINEWARDEN_BLOBS_URL`` would."""
    settings.STORAGES = {**settings.STORAGES, "default": Environment(blobs_url=url).blobs()}


@pytest.fixture
def s3(endpoint: str, settings: Any) -> Iterator[Any]:
    """A new bucket, in use; gives a client that looks at it from outside."""
    outside = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    outside.create_bucket(Bucket=BUCKET)
    use(settings, f"s3://{BUCKET}/blobs?endpoint={endpoint}")
    yield outside
    for key in keys(outside):
        outside.delete_object(Bucket=BUCKET, Key=key)
    outside.delete_bucket(Bucket=BUCKET)


def keys(outside: Any) -> list[str]:
    return [item["Key"] for item in outside.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_what_goes_in_comes_out_verified_and_the_second_time_is_free(s3: Any) -> None:
    blob = blobs.put(iter([b"one ", b"two"]), max_bytes=100)
    assert blobs.read(blob.sha256) == b"one two"
    (key,) = keys(s3)
    assert key == f"blobs/sha256/{blob.sha256[:2]}/{blob.sha256}"
    stored_at = s3.head_object(Bucket=BUCKET, Key=key)["LastModified"]
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"ONE TWO")
    assert blobs.put_bytes(b"one two") == blob
    assert stored_at <= s3.head_object(Bucket=BUCKET, Key=key)["LastModified"]
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"ONE TWO", "it was not sent"


def test_damaged_bytes_are_never_handed_on(s3: Any, tmp_path: Path) -> None:
    blob = blobs.put_bytes(b"one two")
    s3.put_object(Bucket=BUCKET, Key=keys(s3)[0], Body=b"ONE TWO")
    with pytest.raises(blobs.BlobDamaged):
        blobs.read(blob.sha256)
    with pytest.raises(blobs.BlobDamaged):
        blobs.copy(blob.sha256, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    s3.put_object(Bucket=BUCKET, Key=keys(s3)[0], Body=b"ONE")
    blobs.put_bytes(b"one two")
    assert blobs.read(blob.sha256) == b"one two", "what was cut short is written again"


def test_a_file_of_several_parts_appears_whole(s3: Any, tmp_path: Path) -> None:
    content = bytes(range(256)) * 80_000
    blob = blobs.put([content], max_bytes=len(content))
    blobs.copy(blob.sha256, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=700001-700100", 700_001, 700_101), ("bytes=-10", -10, None)],
)
def test_a_device_gets_its_range_from_s3(
    s3: Any, artifact: Box, header: str, start: int, end: int | None
) -> None:
    answer = artifact.get(PATH, Range=header)
    assert answer.status_code == 206
    assert body(answer) == CONTENT[start:end]
    assert hashlib.sha256(body(artifact.get(PATH))).hexdigest() == SHA256


def test_a_device_is_told_to_come_later_while_s3_is_away(
    s3: Any, artifact: Box, settings: Any
) -> None:
    use(settings, f"s3://{BUCKET}/blobs?endpoint=http://127.0.0.1:{free_port()}")
    answer = artifact.get(PATH)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert answer.json()["code"] == "unavailable"
    assert "cannot be reached" in answer.json()["detail"]


def test_what_is_missing_is_503_and_no_500(s3: Any, artifact: Box) -> None:
    for key in keys(s3):
        s3.delete_object(Bucket=BUCKET, Key=key)
    assert artifact.get(PATH).status_code == 503
    with pytest.raises(FileMissing):
        blobs.open_blob(SHA256)
    assert not blobs.exists(SHA256)


def test_an_upload_in_pieces_becomes_a_version_and_leaves_nothing_behind(
    s3: Any, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    catalogue.vision_model()
    client = catalogue.client_of(Role.RELEASER)
    content = catalogue.onnx_bytes()
    at = begun(client)
    for start in range(0, len(content), 200):
        assert send(client, at, start, content[start : start + 200]).status_code == 204
    with django_capture_on_commit_callbacks(execute=True):
        inspect_upload(upload_id=Upload.objects.get().pk)
    assert client.get(at).json()["state"] == "done"
    assert not [key for key in keys(s3) if "uploads" in key]


def test_an_upload_waits_while_s3_is_away(s3: Any, settings: Any) -> None:
    catalogue.vision_model()
    client = catalogue.client_of(Role.RELEASER)
    at = begun(client)
    working = settings.STORAGES
    use(settings, f"s3://nowhere?endpoint={_endpoint_of(s3)}")
    answer = send(client, at, 0, b"abc")
    assert answer.status_code == 503
    assert "the bucket does not exist" in answer.json()["detail"]
    settings.STORAGES = working
    assert send(client, at, 0, b"abc").status_code == 204


def _endpoint_of(outside: Any) -> str:
    return str(outside.meta.endpoint_url)


def test_a_good_storage_passes_the_probe_and_keeps_nothing_of_it(s3: Any) -> None:
    require_storage()
    assert keys(s3) == []


def test_a_start_without_a_bucket_says_so(s3: Any, settings: Any) -> None:
    use(settings, f"s3://nowhere?endpoint={_endpoint_of(s3)}")
    with pytest.raises(StorageAway, match="the bucket does not exist"):
        require_storage()


def test_a_start_without_credentials_says_so(
    s3: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    use(settings, f"s3://{BUCKET}?endpoint={_endpoint_of(s3)}")
    with pytest.raises(StorageAway, match="no credentials were found"):
        require_storage()


def test_prepare_ends_with_one_sentence_and_changes_nothing(endpoint: str, tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "LINEWARDEN_DATA": str(tmp_path),
        "LINEWARDEN_BLOBS_URL": f"s3://nowhere?endpoint={endpoint}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    command = [sys.executable, "-m", "server", "prepare"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("linewarden: The storage (S3) does not work")
    assert not (tmp_path / "linewarden.sqlite").exists()


@pytest.mark.parametrize(
    "url",
    [
        "https://bucket",
        "s3://",
        "s3://key:secret@bucket",
        "s3://bucket?endpint=http://127.0.0.1",
    ],
)
def test_an_address_that_is_none_ends_the_start(url: str) -> None:
    with pytest.raises(ValidationError):
        Environment(blobs_url=url)


def test_storage_that_is_away_is_an_oserror_to_workers(s3: Any, settings: Any) -> None:
    use(settings, f"s3://{BUCKET}/blobs?endpoint=http://127.0.0.1:{free_port()}")
    with pytest.raises(OSError, match="cannot be reached"):
        blobs.read("0" * 64)
    with pytest.raises(Unavailable):
        default_storage.listdir("uploads")
