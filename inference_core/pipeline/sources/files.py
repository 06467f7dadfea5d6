"""Pictures, folders and videos that a person names, frame by frame and no more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from inference_core.contract.serve import Camera, FrameLost
from inference_core.errors import BadInput
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources.base import lose
from inference_core.pipeline.sources.capture import VIDEO_SUFFIXES
from inference_core.pipeline.sources.folder import list_pictures, read_frame
from inference_core.pipeline.sources.video import read_video


def iterate_frames(paths: Sequence[Path], camera: Camera) -> Iterator[Frame | FrameLost]:
    """The frames of pictures, of the pictures in folders and of videos, in this order, lazily.

    What cannot be read comes as ``FrameLost``. Raises ``BadInput`` at once, before any frame,
    where a path does not exist or the folders hold no picture.
    """
    files = [file for path in paths for file in _expand(path)]
    if not files:
        raise BadInput("the folders hold no picture; give JPEG, PNG or BMP files, or a video")
    return _read(files, camera)


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        return list_pictures(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist")
    return [path]


def _read(files: Sequence[Path], camera: Camera) -> Iterator[Frame | FrameLost]:
    sequence = 0
    for path in files:
        for item in _read_file(path, camera, sequence):
            sequence += isinstance(item, Frame)
            yield item


def _read_file(path: Path, camera: Camera, sequence: int) -> Iterator[Frame | FrameLost]:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        yield from read_video(path, camera, sequence)
        return
    try:
        yield read_frame(path, camera, sequence)
    except BadInput as error:
        yield lose(camera, "corrupt_image", str(error))
