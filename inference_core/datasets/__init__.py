"""Datasets in folders: read safely, pinned by digest, kept apart."""

from inference_core.datasets.disjoint import SharedImagesError, check_disjoint
from inference_core.datasets.folder import Dataset, Sample, read_dataset
from inference_core.datasets.problem import DatasetError

__all__ = [
    "Dataset",
    "DatasetError",
    "Sample",
    "SharedImagesError",
    "check_disjoint",
    "read_dataset",
]
