"""What Triton's own schema reads from our config.pbtxt: run by hand where tritonclient is.

    pip install 'tritonclient[grpc]==2.73.0' onnx pydantic pyyaml
    python -m tests.core.export.make_triton_golden

The parser is strict: an unknown field, a wrong enum or a bad escape ends it. It writes the text
and what was read, side by side.
"""

from __future__ import annotations

import json
from pathlib import Path

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from inference_core.export.triton import export_triton
from tests.core.export.cases import triton_cases

GOLDEN = Path(__file__).parent / "golden"

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, origin in triton_cases().items():
        text = export_triton(origin).files[f"{name}/config.pbtxt"].decode()
        read = text_format.Parse(text, model_config_pb2.ModelConfig())
        found = json_format.MessageToDict(read, preserving_proto_field_name=True)
        (GOLDEN / f"{name}.pbtxt").write_text(text, encoding="utf-8")
        words = json.dumps(found, indent=2, ensure_ascii=False, sort_keys=True)
        (GOLDEN / f"{name}.json").write_text(words + "\n", encoding="utf-8")
