"""Boards that nobody here owns, laid out on a disk as their kernels lay them out."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "hardware"


def lay_out(board: str, root: Path) -> Path:
    """The files of ``hardware/<board>.tree`` below ``root``."""
    for line in (FOLDER / f"{board}.tree").read_text().splitlines():
        path, _, content = line.partition(" = ")
        change(root, path, content)
    return root


def change(root: Path, path: str, content: str) -> None:
    """Write one file, as it would be read from the kernel."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if content == "(EAGAIN)":
        file.mkdir()  # as near as a plain disk comes to a file that is there and cannot be read
        return
    content = content.replace("\\0", "\0").replace("\\n", "\n").replace("\\t", "\t")
    file.write_text(content + ("" if content.endswith("\0") else "\n"))
