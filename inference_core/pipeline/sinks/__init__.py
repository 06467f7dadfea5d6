"""Where results go: files, pictures with what was found, brokers, web hooks and PLCs."""

from inference_core.pipeline.sinks.base import Sink
from inference_core.pipeline.sinks.drawing import draw_result, encode_jpeg
from inference_core.pipeline.sinks.files import JsonLinesSink, OverlaySink
from inference_core.pipeline.sinks.lookup import SinkGroup, open_sink, open_sinks

__all__ = [
    "JsonLinesSink",
    "OverlaySink",
    "Sink",
    "SinkGroup",
    "draw_result",
    "encode_jpeg",
    "open_sink",
    "open_sinks",
]
