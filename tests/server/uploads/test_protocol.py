"""The tus protocol as its clients know it, and what strangers and mistakes get."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from rest_framework.test import APIClient

from server.accounts.models import Role
from server.lib.errors import DomainError
from server.uploads import parts
from server.uploads.models import Upload, UploadPart
from server.uploads.services import append_bytes
from tests.server.catalogue import MODEL, client_of, manifest_json, onnx_bytes
from tests.server.registry.test_api import assert_problem
from tests.server.threads import at_once
from tests.server.uploads.sending import (
    API,
    BYTES,
    TUS,
    begin,
    begun,
    checksum,
    offset_of,
    send,
)

pytestmark = pytest.mark.django_db


def test_a_file_comes_in_pieces_and_each_answer_says_where_to_go_on(
    releaser: APIClient, django_capture_on_commit_callbacks: Any, sent: list[object]
) -> None:
    content = onnx_bytes()
    at = begun(releaser)
    assert offset_of(releaser, at) == 0
    with django_capture_on_commit_callbacks(execute=True):
        first = send(releaser, at, 0, content[:100])
        assert (first.status_code, first["Upload-Offset"]) == (204, "100")
        assert first["Upload-Expires"].endswith("GMT")
        assert sent == []
        last = send(releaser, at, 100, content[100:])
    assert last["Upload-Offset"] == str(len(content))
    upload = Upload.objects.get()
    assert upload.state == "received"
    assert b"".join(parts.Content(upload).chunks()) == content
    assert sent == [str(upload.pk)]


def test_the_server_says_what_it_can(releaser: APIClient) -> None:
    answer = releaser.options(API)
    assert answer.status_code == 204
    assert answer["Tus-Version"] == "1.0.0"
    assert answer["Tus-Extension"] == "creation,expiration,checksum,termination"
    assert int(answer["Tus-Max-Size"]) >= 512 * 1024 * 1024
    assert "sha1" in answer["Tus-Checksum-Algorithm"]


def test_a_client_of_the_plain_protocol_puts_the_form_into_metadata(releaser: APIClient) -> None:
    form = {"kind": "model_version", "model": MODEL, "version": "2", "manifest": manifest_json()}
    pairs = [f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in form.items()]
    headers = {**TUS, "Upload-Length": "10", "Upload-Metadata": ",".join(pairs)}
    answer = releaser.post(API, headers=headers)
    assert answer.status_code == 201, answer.content
    assert Upload.objects.get().form["version"] == "2"


def test_a_method_that_a_proxy_swallows_is_named_in_a_header(releaser: APIClient) -> None:
    at = begun(releaser)
    headers = {**TUS, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    answer = releaser.post(at, b"abc", content_type=BYTES, headers=headers)
    assert (answer.status_code, answer["Upload-Offset"]) == (204, "3")


def test_bytes_for_another_place_are_409_with_the_right_one(releaser: APIClient) -> None:
    at = begun(releaser)
    send(releaser, at, 0, b"abcdef")
    for offset in (0, 3, 7):
        problem = assert_problem(send(releaser, at, offset, b"x"), 409, "wrong_offset")
        assert problem["offset"] == 6
    assert offset_of(releaser, at) == 6
    assert UploadPart.objects.count() == 1


def test_more_than_was_announced_is_413_and_loses_nothing(releaser: APIClient) -> None:
    at = begun(releaser, length=10)
    send(releaser, at, 0, b"12345")
    assert_problem(send(releaser, at, 5, b"123456"), 413, "too_large")
    assert offset_of(releaser, at) == 5


def test_more_than_is_taken_is_413_before_a_byte_is_sent(releaser: APIClient) -> None:
    assert_problem(begin(releaser, length=512 * 1024 * 1024 + 1), 413, "too_large")
    assert not Upload.objects.exists()


def test_damage_on_the_way_is_460_and_not_a_byte_of_it_counts(
    releaser: APIClient, own_blobs: Any
) -> None:
    at = begun(releaser)
    answer = send(releaser, at, 0, b"damaged", **{"Upload-Checksum": checksum(b"whole")})
    assert_problem(answer, 460, "checksum_differs")
    assert offset_of(releaser, at) == 0
    assert not [path for path in own_blobs.rglob("*-*") if path.is_file()]
    for start, algorithm in enumerate(("sha1", "sha256")):
        again = send(releaser, at, start, b"w", **{"Upload-Checksum": checksum(b"w", algorithm)})
        assert again.status_code == 204
    unknown = send(releaser, at, 2, b"x", **{"Upload-Checksum": "md5 eA=="})
    assert_problem(unknown, 400, "malformed")


def test_a_withdrawn_upload_is_gone_with_its_bytes(releaser: APIClient, own_blobs: Any) -> None:
    at = begun(releaser)
    send(releaser, at, 0, b"abc")
    assert releaser.delete(at, headers=TUS).status_code == 204
    assert_problem(send(releaser, at, 3, b"def"), 410, "gone")
    assert not list((own_blobs / "uploads").glob("*"))
    assert_problem(releaser.delete(at, headers=TUS), 409, "conflict")


def test_an_upload_is_its_owners_alone(releaser: APIClient) -> None:
    at = begun(releaser)
    stranger = client_of(Role.ADMIN)
    assert_problem(send(stranger, at, 0, b"abc"), 404, "not_found")
    assert_problem(stranger.get(at), 404, "not_found")
    assert_problem(stranger.delete(at, headers=TUS), 404, "not_found")
    assert stranger.head(at, headers=TUS).status_code == 404
    assert stranger.get(API).json()["results"] == []
    assert offset_of(releaser, at) == 0


def test_who_may_not_release_may_not_upload(releaser: APIClient) -> None:
    operator = client_of(Role.OPERATOR)
    assert begin(operator).status_code == 403
    assert begin(APIClient()).status_code == 401


def test_another_version_of_the_protocol_is_412(releaser: APIClient) -> None:
    at = begun(releaser)
    for given in ({}, {"Tus-Resumable": "0.2.2"}):
        answer = releaser.patch(
            at, b"x", content_type=BYTES, headers={"Upload-Offset": "0"} | given
        )
        assert_problem(answer, 412, "wrong_version")
        assert answer["Tus-Version"] == "1.0.0"


@pytest.mark.parametrize(
    ("headers", "content_type", "status"),
    [
        ({"Upload-Offset": "-1"}, BYTES, 400),
        ({"Upload-Offset": "9" * 40}, BYTES, 400),
        ({"Upload-Offset": "²"}, BYTES, 400),
        ({}, BYTES, 400),
        ({"Upload-Offset": "0"}, "application/octet-stream", 415),
    ],
)
def test_headers_that_say_nothing_are_4xx(
    releaser: APIClient, headers: dict[str, str], content_type: str, status: int
) -> None:
    at = begun(releaser)
    answer = releaser.patch(at, b"x", content_type=content_type, headers={**TUS, **headers})
    assert answer.status_code == status
    assert offset_of(releaser, at) == 0


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"model": "unknown"}, 422),
        ({"manifest": "{}"}, 422),
        ({"version": "No Good"}, 422),
        ({"kind": "firmware"}, 422),
        ({"kind": "dataset"}, 422),
        ({"sha256": "abc"}, 422),
        ({"length": 0}, 422),
    ],
)
def test_what_could_not_be_used_is_refused_before_it_is_sent(
    releaser: APIClient, changes: dict[str, Any], status: int
) -> None:
    assert begin(releaser, **changes).status_code == status
    assert not Upload.objects.exists()


def test_metadata_that_is_none_is_400(releaser: APIClient) -> None:
    for text in ("kind ###", "kind eA==,kind eA==", "kind /////w=="):
        headers = {**TUS, "Upload-Length": "10", "Upload-Metadata": text}
        assert_problem(releaser.post(API, headers=headers), 400, "malformed")


def test_one_user_has_so_many_uploads_and_bytes_on_the_way(
    releaser: APIClient, settings: Any
) -> None:
    settings.ENV = settings.ENV.model_copy(
        update={"max_open_uploads": 2, "max_open_upload_bytes": 1000}
    )
    first = begun(releaser, length=600)
    assert_problem(begin(releaser, length=600), 429, "too_many")
    begun(releaser, length=100)
    problem = assert_problem(begin(releaser, length=1), 429, "too_many")
    assert problem["max_open_uploads"] == 2
    releaser.delete(first, headers=TUS)
    assert begin(releaser, length=600).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_two_writers_one_wins_and_the_file_is_whole(releaser: APIClient) -> None:
    begun(releaser, length=8)
    uploads = [Upload.objects.get(), Upload.objects.get()]

    def write(upload: Upload, content: bytes) -> object:
        try:
            return append_bytes(upload=upload, offset=0, body=_Body(content))
        except DomainError as error:
            return error

    outcomes = at_once(lambda: write(uploads[0], b"AAAA"), lambda: write(uploads[1], b"BBBB"))
    errors = [outcome for outcome in outcomes if outcome != 4]
    assert len(errors) == 1
    assert getattr(errors[0], "status", None) == 409
    whole = b"".join(parts.Content(uploads[0]).chunks())
    assert whole in (b"AAAA", b"BBBB")


def test_a_line_that_is_cut_keeps_what_came(releaser: APIClient) -> None:
    begun(releaser, length=1000)
    upload = Upload.objects.get()
    assert append_bytes(upload=upload, offset=0, body=_Body(b"x" * 300, cut=True)) == 300
    assert append_bytes(upload=upload, offset=300, body=_Body(b"y" * 700)) == 1000


def test_a_full_disk_is_503_and_loses_nothing(
    releaser: APIClient, own_blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = begun(releaser)
    send(releaser, at, 0, b"abc")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("server.lib.storage.os.fsync", full)
        answer = send(releaser, at, 3, b"def")
    assert_problem(answer, 503, "unavailable")
    assert int(answer["Retry-After"]) > 0
    assert offset_of(releaser, at) == 3
    assert send(releaser, at, 3, b"def").status_code == 204


class _Body:
    """A request's body that may end in the middle."""

    def __init__(self, content: bytes, *, cut: bool = False) -> None:
        self._content, self._is_cut = content, cut

    def read(self, size: int) -> bytes:
        if self._is_cut and not self._content:
            raise OSError("connection reset")
        chunk, self._content = self._content[: min(size, 64)], self._content[min(size, 64) :]
        return chunk
