"""Which pictures and classes a YOLO set has: ``data.yaml`` of Ultralytics, or ``classes.txt``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from inference_core.datasets.files import check_name, list_pictures, read_text
from inference_core.datasets.labelled import check_label
from inference_core.datasets.problem import DatasetError
from inference_core.datasets.subsets import name_subset
from inference_core.picture import PICTURE_SUFFIXES

_INDEX_NAMES = ("data.yaml", "dataset.yaml", "data.yml")
_CLASSES_PLACES = ("classes.txt", "labels/classes.txt", "images/classes.txt")
_PART_KEYS = ("train", "val", "valid", "test")
_NO_PARTS = frozenset({"path", "names", "nc", "download", "roboflow", "channels", "kpt_shape"})
_MAX_INDEX_BYTES = 4 * 1024 * 1024
_MAX_CLASSES = 25_000


@dataclass(frozen=True)
class Part:
    """Pictures of one subset, in a folder or in a list of paths."""

    subset: str
    folder: Path
    listed: tuple[Path, ...] | None = None

    def list_pictures(self) -> list[Path]:
        """Its pictures, sorted or in the order of the list."""
        return list_pictures(self.folder) if self.listed is None else list(self.listed)


@dataclass(frozen=True)
class Index:
    """The classes by number, and the parts of the set."""

    labels: tuple[str, ...]
    parts: tuple[Part, ...]


def read_index(root: Path) -> Index:
    """What ``root`` holds. ``DatasetError`` where neither file is there."""
    for name in _INDEX_NAMES:
        if (root / name).is_file():
            return _read_yaml(root, root / name)
    for name in _CLASSES_PLACES:
        if (root / name).is_file():
            folder = root / "images" if (root / "images").is_dir() else root
            return Index(_read_classes(root / name), (Part("", folder),))
    raise DatasetError(
        f"{root.name} has neither data.yaml nor classes.txt, so the numbers in its labels "
        "mean nothing; write one class a line into classes.txt"
    )


def write_index(root: Path, labels: tuple[str, ...], subsets: list[str]) -> None:
    """``data.yaml`` as Ultralytics reads it. A set without parts is its own ``train`` and ``val``.

    ``path`` is left out: it would be relative to a folder of the trainer's settings.
    """
    if taken := sorted(_NO_PARTS.intersection(subsets)):
        raise DatasetError(f"data.yaml cannot hold a subset called {taken[0]!r}; rename it")
    parts = {_KEYS.get(subset, subset): f"images/{subset}" for subset in subsets if subset}
    parts = parts or {"train": "images", "val": "images"}
    index = {**parts, "nc": len(labels), "names": dict(enumerate(labels))}
    text = yaml.safe_dump(index, sort_keys=False, allow_unicode=True)
    (root / "data.yaml").write_text(text, encoding="utf-8")


_KEYS = {"valid": "val"}


def _read_classes(path: Path) -> tuple[str, ...]:
    lines = read_text(path, _MAX_INDEX_BYTES).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(check_label(line, f"{path.name}:{n}") for n, line in enumerate(lines, start=1))


def _read_yaml(root: Path, path: Path) -> Index:
    try:
        document = yaml.safe_load(read_text(path, _MAX_INDEX_BYTES))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(f"{path.name} is no YAML: {reason}") from error
    if not isinstance(document, dict):
        raise DatasetError(f"{path.name} holds no keys such as names and train")
    labels = _read_names(document.get("names"), path.name)
    base = _resolve(root, document.get("path", "."), path.name, must_exist=False) or root
    parts = [part for key in document for part in _read_part(base, key, document[key], path.name)]
    return Index(labels, _merge(root, parts))


def _read_names(names: Any, where: str) -> tuple[str, ...]:
    """A list, or numbers from 0 with names."""
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            raise DatasetError(f"{where}: names must be numbered from 0 without a gap")
        names = [names[key] for key in sorted(names, key=lambda key: int(str(key)))]
    if not isinstance(names, list) or len(names) > _MAX_CLASSES:
        raise DatasetError(f"{where}: names must list the classes")
    if bad := [name for name in names if not isinstance(name, (str, int))]:
        raise DatasetError(f"{where}: {str(bad[0])[:40]!r} in names is no class name")
    return tuple(check_label(str(name), f"{where}: names") for name in names)


def _read_part(base: Path, key: Any, value: Any, where: str) -> list[Part]:
    """Folders or lists of one subset; keys of other meanings give none."""
    if not isinstance(key, str) or key in _NO_PARTS or not value:
        return []
    entries = value if isinstance(value, list) else [value]
    found = [
        _resolve(base, one, f"{where}: {key}", must_exist=key in _PART_KEYS) for one in entries
    ]
    return [_open_part(base, name_subset(key), path) for path in found if path is not None]


def _resolve(base: Path, text: Any, where: str, *, must_exist: bool) -> Path | None:
    """A folder or list in the set. Roboflow writes ``../train/images`` and means ``train/images``.

    A path that leads to another place of the machine is refused: the set is what lies in it.
    """
    if not isinstance(text, str):
        if must_exist:
            raise DatasetError(f"{where} is no path")
        return None
    plain = text.rstrip("/")
    while plain.startswith("../"):
        plain = plain[3:]
    if plain in {"", "."}:
        return base
    if not must_exist and not _exists(base, plain):
        return None
    path = base / check_name(plain, where)
    if not path.exists():
        raise DatasetError(f"{where}: {plain} is missing")
    return path


def _exists(base: Path, plain: str) -> bool:
    try:
        return (base / check_name(plain, "path")).exists()
    except DatasetError:
        return False


def _open_part(base: Path, subset: str, path: Path) -> Part:
    """A folder of pictures; a folder that holds ``images``; or a list of paths."""
    if path.is_dir():
        inner = path / "images"
        return Part(subset, inner if inner.is_dir() and path != base else path)
    names = read_text(path).splitlines()
    pictures = [
        base / check_name(name.strip(), f"{path.name}:{number}")
        for number, name in enumerate(names, start=1)
        if Path(name.strip()).suffix.lower() in PICTURE_SUFFIXES
    ]
    return Part(subset, base, tuple(pictures))


def _merge(root: Path, parts: list[Part]) -> tuple[Part, ...]:
    """A folder that is named for several subsets divides nothing: it is one part without a name."""
    if not parts:
        return (Part("", root / "images" if (root / "images").is_dir() else root),)
    shared = {part.folder for part in parts if sum(p.folder == part.folder for p in parts) > 1}
    once: dict[tuple[Path, str], Part] = {}
    for part in parts:
        is_shared = part.folder in shared and part.listed is None
        subset = "" if is_shared else part.subset
        once.setdefault((part.folder, subset), Part(subset, part.folder, part.listed))
    return tuple(once.values())
