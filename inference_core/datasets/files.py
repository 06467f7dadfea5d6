"""Files that a dataset names: inside its folder, of a bearable size, pictures that are whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from inference_core.contract.dataset import MAX_IMAGES
from inference_core.datasets.exif import lies_on_its_side
from inference_core.datasets.folder import MAX_FILE_BYTES
from inference_core.datasets.problem import DatasetError
from inference_core.errors import BadInput
from inference_core.picture import MAX_PIXELS, PICTURE_SUFFIXES, measure_picture

MAX_NAME_CHARACTERS = 300


@dataclass(frozen=True)
class ImageFile:
    """A picture that was read whole once, header and end; its sides as decoders show it."""

    path: Path
    sha256: str
    width: int
    height: int


def read_bytes(path: Path, limit_bytes: int = MAX_FILE_BYTES) -> bytes:
    """A file's bytes; ``DatasetError`` where it cannot be read or is larger than the limit."""
    try:
        if path.stat().st_size > limit_bytes:
            raise DatasetError(f"{path.name} is larger than {limit_bytes} bytes")
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read: {error.strerror}") from error


def read_text(path: Path, limit_bytes: int = MAX_FILE_BYTES) -> str:
    """A UTF-8 file's text, without a byte order mark."""
    try:
        return read_bytes(path, limit_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path.name} is no UTF-8 text (byte {error.start})") from error


def open_image(root: Path, path: Path, where: str) -> ImageFile:
    """The picture at ``path``; ``DatasetError`` where it is missing, outside or broken."""
    inside = locate(root, path, where)
    data = read_bytes(inside)
    try:
        width, height = measure_picture(data)
    except BadInput as error:
        raise DatasetError(f"{where}: the picture {path.name} is broken: {error}") from error
    if lies_on_its_side(data):
        width, height = height, width
    if width * height > MAX_PIXELS:
        raise DatasetError(f"{where}: {path.name} has {width}×{height} pixels, over {MAX_PIXELS}")
    return ImageFile(inside, hashlib.sha256(data).hexdigest(), width, height)


def locate(root: Path, path: Path, where: str) -> Path:
    """The resolved path of a file inside ``root``, also over links."""
    resolved = path.resolve()
    if not resolved.is_relative_to(root):
        raise DatasetError(f"{where}: {path.name} leads out of the dataset's folder")
    if not resolved.is_file():
        raise DatasetError(f"{where}: {path.relative_to(root)} is missing")
    return resolved


def check_name(name: str, where: str) -> str:
    """A picture's name from a stranger as a relative path with ``/`` that stays below its root."""
    plain = name.replace("\\", "/").removeprefix("./")
    parts = plain.split("/")
    if (
        not plain.isprintable()
        or len(plain) > MAX_NAME_CHARACTERS
        or any(part in {"", ".", ".."} or ":" in part for part in parts)
    ):
        raise DatasetError(f"{where}: {name[:80]!r} is no file name inside the dataset's folder")
    return plain


def check_size(file: ImageFile, stated: tuple[int, int], where: str) -> None:
    """Labels made on a picture of another size lie in the wrong places; 0×0 states nothing."""
    if stated not in {(0, 0), (file.width, file.height)}:
        raise DatasetError(
            f"{where}: the labels are for {stated[0]}×{stated[1]} pixels, "
            f"but {file.path.name} has {file.width}×{file.height}"
        )


def list_pictures(folder: Path) -> list[Path]:
    """Every picture below a folder, sorted; hidden files and folders are passed over."""
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if len(found) > MAX_IMAGES:
        raise DatasetError(f"{folder.name} holds {len(found)} pictures, more than {MAX_IMAGES}")
    return found


def resolve_folder(folder: Path) -> Path:
    """The folder's real path; ``DatasetError`` where it is none."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder")
    return folder.resolve()


def stem_of(name: str) -> str:
    """``a/b.jpg`` to ``a/b``."""
    return str(PurePosixPath(name).with_suffix(""))
