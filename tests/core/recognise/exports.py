"""ONNX files with the tensors and the metadata that real exporters write, and constant answers.

Ultralytics: ``Exporter.metadata`` of ultralytics 8.3 and 8.4; YOLOv5: ``export.py`` of v7.0;
RF-DETR: ``ExportMetadata`` of rfdetr 1.11, and its exports before that, which say nothing;
TensorFlow: tf2onnx of the Object Detection API; PaddleOCR: paddle2onnx, as RapidOCR ships it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int | str | None, ...]
COCO_START = {0: "person", 1: "bicycle", 2: "car"}


def write_export(
    path: Path,
    outputs: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
    *,
    input_name: str = "images",
    input_shape: Shape = (1, 3, 64, 96),
    input_dtype: int = TensorProto.FLOAT,
    last: str = "Identity",
    graph_name: str = "main_graph",
) -> Path:
    """A file whose outputs are constants, each made by a node of the kind ``last``."""
    nodes, values = [], []
    for name, array in outputs.items():
        nodes.append(
            helper.make_node("Constant", [], [f"{name}_raw"], value=numpy_helper.from_array(array))
        )
        nodes.append(helper.make_node(last, [f"{name}_raw"], [name]))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        values.append(helper.make_tensor_value_info(name, kind, array.shape))
    picture = helper.make_tensor_value_info(input_name, input_dtype, input_shape)
    graph = helper.make_graph(nodes, graph_name, [picture], values)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="pytorch"
    )
    helper.set_model_props(model, dict(metadata or {}))
    path.write_bytes(model.SerializeToString())
    return path


def floats(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def ultralytics(**changes: Any) -> dict[str, str]:
    """``str()`` of each value, as the exporter writes it."""
    values = {
        "description": "Ultralytics YOLO11n model trained on coco8.yaml",
        "author": "Ultralytics",
        "date": "2026-01-05T10:11:12.131415",
        "version": "8.3.40",
        "license": "AGPL-3.0 License (https://ultralytics.com/license)",
        "docs": "https://docs.ultralytics.com",
        "stride": 32,
        "task": "detect",
        "batch": 1,
        "imgsz": [64, 96],
        "names": COCO_START,
        "args": {"batch": 1, "half": False, "dynamic": False, "simplify": True, "nms": False},
        "channels": 3,
        "end2end": False,
    }
    return {key: str(value) for key, value in (values | changes).items()}


def rfdetr(**changes: Any) -> dict[str, str]:
    values = {
        "schema_version": 1,
        "producer_version": "1.11.0",
        "format": "onnx",
        "task": "detect",
        "variant": "rfdetr-nano",
        "input_shape": [1, 3, 64, 64],
        "outputs": {"pred_boxes": "dets", "pred_logits": "labels"},
        "means": [0.485, 0.456, 0.406],
        "stds": [0.229, 0.224, 0.225],
        "class_names": ["scratch", "dent"],
        "class_id_to_name": {"1": "scratch", "2": "dent"},
        "num_classes": 4,
    }
    return {"rfdetr_inference": json.dumps(values | changes)}
