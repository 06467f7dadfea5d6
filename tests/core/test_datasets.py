from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from inference_core.datasets import DatasetError, SharedImagesError, check_disjoint, read_dataset


def write_dataset(folder: Path, images: dict[str, bytes], **fields: str) -> Path:
    (folder / "images").mkdir(parents=True)
    for name, data in images.items():
        (folder / "images" / name).write_bytes(data)
    lines = [json.dumps({"image": f"images/{name}", **fields}) + "\n" for name in images]
    (folder / "labels.jsonl").write_text("".join(lines))
    return folder


def write_lines(folder: Path, *lines: object) -> Path:
    write_dataset(folder, {"a.jpg": b"a"})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "labels.jsonl").write_text(text)
    return folder


def test_it_reads_labels_in_their_order(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", {"b.jpg": b"b", "a.jpg": b"a"}, text="TDA")

    samples = read_dataset(folder).samples

    assert [sample.name for sample in samples] == ["images/b.jpg", "images/a.jpg"]
    assert samples[0].image.read_bytes() == b"b"
    assert samples[0].text == "TDA"
    assert samples[0].mask is None


def test_the_digest_is_what_coreutils_says(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", {"b.jpg": b"b", "a.jpg": b"a"})

    lines = subprocess.run(
        ["sha256sum", "images/a.jpg", "images/b.jpg", "labels.jsonl"],
        cwd=folder,
        check=True,
        capture_output=True,
    ).stdout
    oracle = subprocess.run(["sha256sum"], input=lines, check=True, capture_output=True).stdout

    assert read_dataset(folder).sha256 == oracle.decode().split()[0]


def test_the_digest_changes_with_one_byte_of_one_image(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", {"a.jpg": b"a"})
    before = read_dataset(folder).sha256
    (folder / "images/a.jpg").write_bytes(b"A")

    assert read_dataset(folder).sha256 != before


def test_the_digest_ignores_a_file_that_no_label_names(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", {"a.jpg": b"a"})
    before = read_dataset(folder).sha256
    (folder / "notes.txt").write_text("lunch at one")

    assert read_dataset(folder).sha256 == before


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/passwd", "images/../../a.jpg", ".hidden", "a b.jpg", "", "x\n.jpg"]
)
def test_it_refuses_a_path_that_leaves_the_folder(tmp_path: Path, name: str) -> None:
    folder = write_lines(tmp_path / "set", {"image": name})

    with pytest.raises(DatasetError, match=r"labels\.jsonl:1: image"):
        read_dataset(folder)


def test_it_refuses_a_link_that_leaves_the_folder(tmp_path: Path) -> None:
    folder = write_lines(tmp_path / "set", {"image": "images/link.jpg"})
    (tmp_path / "secret").write_text("secret")
    (folder / "images/link.jpg").symlink_to(tmp_path / "secret")

    with pytest.raises(DatasetError, match="leads out"):
        read_dataset(folder)


def test_it_refuses_an_image_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a file"):
        read_dataset(write_lines(tmp_path / "set", {"image": "images/none.jpg"}))


def test_it_refuses_an_image_that_is_named_twice(tmp_path: Path) -> None:
    line = {"image": "images/a.jpg"}

    with pytest.raises(DatasetError, match=r"labels\.jsonl:2 names images/a\.jpg a second time"):
        read_dataset(write_lines(tmp_path / "set", line, line))


def test_it_says_which_line_is_no_json(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", {"a.jpg": b"a"})
    with (folder / "labels.jsonl").open("a") as labels:
        labels.write("{oops\n")

    with pytest.raises(DatasetError, match=r"labels\.jsonl:2"):
        read_dataset(folder)


@pytest.mark.parametrize("missing", ["folder", "labels"])
def test_it_refuses_a_folder_that_is_no_dataset(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "set"
    if missing == "labels":
        folder.mkdir()

    with pytest.raises(DatasetError):
        read_dataset(folder)


def test_it_refuses_a_dataset_without_images(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="names no image"):
        read_dataset(write_dataset(tmp_path / "set", {}))


def test_calibration_and_golden_set_may_not_share_an_image_under_another_name(
    tmp_path: Path,
) -> None:
    calibration = write_dataset(tmp_path / "c", {"a.jpg": b"same", "b.jpg": b"b"})
    golden = write_dataset(tmp_path / "g", {"z.jpg": b"same"})

    with pytest.raises(SharedImagesError, match=r"images/a\.jpg = images/z\.jpg"):
        check_disjoint(read_dataset(calibration), read_dataset(golden))


def test_sets_without_a_common_image_are_disjoint(tmp_path: Path) -> None:
    calibration = read_dataset(write_dataset(tmp_path / "c", {"a.jpg": b"a"}))
    golden = read_dataset(write_dataset(tmp_path / "g", {"a.jpg": b"another"}))

    check_disjoint(calibration, golden)
