"""Where frames come from: folders, videos, cameras and triggers, each one file and one line."""

from inference_core.pipeline.sources.base import BrokenSource, Source, lose
from inference_core.pipeline.sources.files import iterate_frames
from inference_core.pipeline.sources.folder import (
    FolderSource,
    list_pictures,
    parse_file_address,
    read_frame,
)
from inference_core.pipeline.sources.live import LiveSource
from inference_core.pipeline.sources.lookup import open_source
from inference_core.pipeline.sources.trigger import TriggerSource
from inference_core.pipeline.sources.video import VideoSource

__all__ = [
    "BrokenSource",
    "FolderSource",
    "LiveSource",
    "Source",
    "TriggerSource",
    "VideoSource",
    "iterate_frames",
    "list_pictures",
    "lose",
    "open_source",
    "parse_file_address",
    "read_frame",
]
