"""What stands in a COCO annotation file, and where such files lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Optional, Union

from pydantic import BaseModel, ConfigDict, Field

from inference_core.contract.dataset import MAX_IMAGES
from inference_core.datasets.problem import DatasetError
from inference_core.datasets.subsets import name_subset

_PREFIX = "instances_"
_PICTURE_FOLDERS = ("images", "data")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class CocoImage(_Part):
    """A picture; a size of 0×0 states nothing."""

    id: int
    file_name: str
    width: int = 0
    height: int = 0


class CocoMask(_Part):
    """Run lengths, as numbers or as COCO's compressed string."""

    size: tuple[int, int]
    counts: Union[str, tuple[int, ...]]


class CocoAnnotation(_Part):
    """An object: a box, an outline, or both."""

    image_id: int
    category_id: int
    bbox: Optional[tuple[float, float, float, float]] = None
    segmentation: Optional[Union[tuple[tuple[float, ...], ...], CocoMask]] = None
    iscrowd: Annotated[int, Field(ge=0, le=1)] = 0
    keypoints: Optional[tuple[float, ...]] = None


class CocoCategory(_Part):
    """A class."""

    id: int
    name: str
    supercategory: Optional[str] = None


class CocoFile(_Part):
    """The document."""

    images: tuple[CocoImage, ...] = Field(max_length=MAX_IMAGES)
    annotations: tuple[CocoAnnotation, ...] = ()
    categories: tuple[CocoCategory, ...] = Field(max_length=25_000)


@dataclass(frozen=True)
class Place:
    """An annotation file, its subset, and the folders in which its pictures may lie."""

    path: Path
    subset: str
    folders: tuple[Path, ...]


def find_files(root: Path, roboflow_name: str) -> list[Place]:
    """Roboflow's files, else those of COCO. ``DatasetError`` where there are neither."""
    own = sorted(root.glob(f"*/{roboflow_name}"))
    if (root / roboflow_name).is_file():
        own.insert(0, root / roboflow_name)
    if own:
        return [
            Place(p, name_subset(p.parent.name) if p.parent != root else "", (p.parent,))
            for p in own
        ]
    candidates = sorted((root / "annotations").glob("*.json")) or sorted(root.glob("*.json"))
    instances = [path for path in candidates if path.name.startswith(_PREFIX)] or candidates
    if not instances:
        raise DatasetError(
            f"{root.name} holds no {roboflow_name} and no .json, so it is no COCO set"
        )
    several = len(instances) > 1 or instances[0].name.startswith(_PREFIX)
    return [_place(root, path, has_name=several) for path in instances]


def _place(root: Path, path: Path, *, has_name: bool) -> Place:
    """``annotations/instances_val2017.json`` has its pictures in ``val2017``."""
    name = path.stem.removeprefix(_PREFIX)
    folders = [root / name, *(root / f / name for f in _PICTURE_FOLDERS)]
    folders += [root / folder for folder in _PICTURE_FOLDERS]
    subset = "" if not has_name or name == "default" else name_subset(name)
    return Place(path, subset, (*folders, path.parent, root))
