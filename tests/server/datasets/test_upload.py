from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path

import pytest

from inference_core.datasets import read_dataset
from server.accounts.models import AuditEntry
from server.datasets import archive, selectors, services
from server.datasets.models import DatasetItem, DatasetVersion, Purpose
from server.lib.errors import Conflict, DomainError, Invalid, NotFound, TooLarge
from tests.server.archives import board_files, mask_of, pack, picture

pytestmark = pytest.mark.django_db


def upload(file: io.BytesIO, name: str = "boards", **changes: object) -> DatasetVersion:
    fields: dict[str, object] = {"version": "1", "purpose": Purpose.GOLDEN, "notes": "", **changes}
    fields.setdefault("max_bytes", 10 * 1024 * 1024)
    return services.upload_dataset(name=name, file=file, actor="user:ada", **fields)


def refused(files: dict[str, bytes], kind: type[DomainError] = Invalid) -> str:
    with pytest.raises(kind) as refusal:
        upload(pack(files))
    assert not DatasetVersion.objects.exists()
    assert not DatasetItem.objects.exists()
    return refusal.value.detail


def labels(*lines: object) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def test_a_dataset_comes_out_as_it_went_in(tmp_path: Path) -> None:
    files = board_files(range(3))

    dataset = upload(pack(files))
    selectors.materialise(dataset, tmp_path / "set")

    written = {
        path.relative_to(tmp_path / "set").as_posix(): path.read_bytes()
        for path in (tmp_path / "set").rglob("*")
        if path.is_file()
    }
    assert written == files


def test_the_core_reads_it_with_the_same_digest(tmp_path: Path) -> None:
    dataset = upload(pack(board_files(range(3))))

    selectors.materialise(dataset, tmp_path / "set")

    assert read_dataset(tmp_path / "set").sha256 == dataset.sha256


def test_what_is_known_of_an_image_is_kept() -> None:
    image = picture(1)
    line = {"image": "a.jpg", "text": "TDA1517P", "verdict": "pass"}

    dataset = upload(pack({"labels.jsonl": labels(line), "a.jpg": image}))

    assert dataset.items.get().labels == {"text": "TDA1517P", "verdict": "pass"}
    assert dataset.image_count == 1


def test_an_upload_is_written_to_the_audit_log() -> None:
    dataset = upload(pack(board_files(range(1))))

    entry = AuditEntry.objects.get(subject="dataset", subject_id=str(dataset.pk))
    assert entry.actor == "user:ada"


def test_the_same_content_is_refused_under_any_name() -> None:
    upload(pack(board_files(range(2))))

    with pytest.raises(Conflict, match="boards 1"):
        upload(pack(board_files(range(2)), method=zipfile.ZIP_STORED), name="others")


def test_a_version_never_changes() -> None:
    upload(pack(board_files(range(2))))

    with pytest.raises(Conflict, match="versions never change"):
        upload(pack(board_files(range(5))))


def test_two_images_may_share_a_mask(tmp_path: Path) -> None:
    one, two = picture(1, kind=".png"), picture(3, kind=".png")
    lines = labels({"image": "1.png", "mask": "m.png"}, {"image": "2.png", "mask": "m.png"})

    dataset = upload(
        pack({"labels.jsonl": lines, "1.png": one, "2.png": two, "m.png": mask_of(one)})
    )

    selectors.materialise(dataset, tmp_path / "set")
    assert read_dataset(tmp_path / "set").sha256 == dataset.sha256


def test_a_dataset_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        selectors.dataset_version("boards", "1")


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "images/../../evil.jpg",
        "/etc/passwd",
        "C:\\evil.jpg",
        "images\\..\\evil.jpg",
        ".hidden",
        "images/.hidden.jpg",
        "images//a.jpg",
        "a\nb.jpg",
        "-rf",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(name: str) -> None:
    files = {"labels.jsonl": labels({"image": "a.jpg"}), "a.jpg": picture(1), name: picture(2)}

    assert "leads upward" in refused(files)


def test_a_link_is_refused() -> None:
    packed = pack({"labels.jsonl": labels({"image": "a.jpg"})})
    with zipfile.ZipFile(packed, "a") as opened:
        link = zipfile.ZipInfo("a.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")

    with pytest.raises(Invalid, match="link"):
        upload(packed)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    files = {"labels.jsonl": labels({"image": "a.png"}), "a.png": bytes(60 * 1024 * 1024)}

    with pytest.raises(Invalid, match="bomb"):
        upload(pack(files), max_bytes=2**30)


def test_more_than_the_limit_in_all_is_refused() -> None:
    files = {"labels.jsonl": labels({"image": "a.png"}), "a.png": bytes(2**20), "b": bytes(2**20)}

    with pytest.raises(TooLarge):
        upload(pack(files, method=zipfile.ZIP_STORED), max_bytes=2**20)


def test_a_file_that_is_larger_than_it_claims_is_refused() -> None:
    packed = bytearray(pack({"labels.jsonl": labels({"image": "a.png"}), "a.png": b"x" * 5000})
                       .getvalue())  # fmt: skip
    directory = packed.rindex(b"PK\x01\x02")
    packed[directory + 24 : directory + 28] = (10).to_bytes(4, "little")

    with pytest.raises(Invalid):
        upload(io.BytesIO(packed))


def test_a_directory_that_would_fill_the_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 100)

    assert "more than" in refused(board_files(range(3)), TooLarge)


def test_more_files_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 6)

    refused(board_files(range(3)), TooLarge)


@pytest.mark.parametrize("data", [b"", b"PK", b"GIF89a" * 10, b"PK\x05\x06" + bytes(18)])
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        upload(io.BytesIO(data))


def test_a_zip_cut_short_is_refused() -> None:
    data = pack(board_files(range(3))).getvalue()
    for length in (len(data) - 1, len(data) // 2, 30):
        with pytest.raises(Invalid):
            upload(io.BytesIO(data[:length]))


def test_a_zip_whose_bytes_have_flipped_is_refused() -> None:
    data = bytearray(pack(board_files(range(1)), method=zipfile.ZIP_STORED).getvalue())
    data[data.index(b"IDAT") + 6] ^= 0xFF

    with pytest.raises(Invalid, match="unpacked"):
        upload(io.BytesIO(data))


def test_an_encrypted_zip_is_refused() -> None:
    packed = bytearray(pack({"labels.jsonl": labels({"image": "a.png"})}).getvalue())
    packed[packed.rindex(b"PK\x01\x02") + 8] |= 1

    with pytest.raises(Invalid, match="encrypted"):
        upload(io.BytesIO(packed))


def test_a_set_without_labels_is_refused() -> None:
    assert "no labels.jsonl" in refused({"a.jpg": picture(1)})
    assert "1:" in refused({"labels.jsonl": b""})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"image": "../a.jpg"}, "labels.jsonl:2"),
        ({"picture": "a.jpg"}, "labels.jsonl:2"),
        ({"image": "a.jpg", "verdict": "maybe"}, "labels.jsonl:2"),
        ({"image": "a.jpg", "text": "x" * 1001}, "labels.jsonl:2"),
        ({"image": "b.jpg"}, "a second time"),
        ({"image": "c.jpg"}, "not in the archive"),
    ],
)
def test_a_wrong_line_is_named(line: dict[str, object], says: str) -> None:
    first = {"image": "b.jpg"}
    files = {"labels.jsonl": labels(first, line), "a.jpg": picture(1), "b.jpg": picture(2)}

    assert says in refused(files)


def test_a_file_that_no_line_names_is_refused() -> None:
    files = {**board_files(range(2)), "images/stray.jpg": picture(9)}

    assert "images/stray.jpg" in refused(files)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(500),
        b"\xff\xd8\xff\xe0\xff\xff",
        b"\x89PNG\r\n\x1a\n",
        picture(1)[:-300],
        picture(1, kind=".png")[:-5],
    ],
)
def test_a_corrupt_image_is_named(data: bytes) -> None:
    files = {"labels.jsonl": labels({"image": "images/a.jpg"}), "images/a.jpg": data}

    assert refused(files).startswith("images/a.jpg ")


def test_a_picture_of_giant_dimensions_is_refused_by_its_header() -> None:
    giant = bytearray(picture(1, kind=".png"))
    giant[16:24] = (60_000).to_bytes(4, "big") * 2

    detail = refused({"labels.jsonl": labels({"image": "a.png"}), "a.png": bytes(giant)})

    assert "60000x60000" in detail


def test_a_mask_must_cover_its_image() -> None:
    files = {
        "labels.jsonl": labels({"image": "a.png", "mask": "m.png"}),
        "a.png": picture(1, kind=".png"),
        "m.png": mask_of(picture(1, kind=".png", size=(64, 64))),
    }

    assert "64x64" in refused(files)


def test_a_mask_that_blurs_classes_is_refused() -> None:
    files = {
        "labels.jsonl": labels({"image": "a.png", "mask": "m.jpg"}),
        "a.png": picture(1, kind=".png"),
        "m.jpg": picture(1),
    }

    assert "masks are PNG" in refused(files)


@pytest.mark.parametrize("kind", [".jpg", ".png"])
@pytest.mark.parametrize("size", [(48, 32), (1280, 720), (31, 17)])
def test_the_size_in_the_header_is_the_size_of_the_picture(
    kind: str, size: tuple[int, int]
) -> None:
    from server.datasets.pictures import read_size

    data = picture(4, kind=kind, size=size)
    found = read_size(data, data)

    assert (found.width, found.height) == size
