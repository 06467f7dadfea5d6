"""Results in files: every line whole, and no disk filled up."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from inference_core.contract.results import FrameResult
from inference_core.picture import read_picture
from inference_core.pipeline.sinks import JsonLinesSink, OverlaySink, open_sink
from inference_core.pipeline.sinks.base import Parcel
from inference_core.pipeline.sinks.files import _JsonLinesFile

from .results import frame, result, wait_until


def test_a_stream_gets_one_result_a_line() -> None:
    stream = io.BytesIO()
    sink = JsonLinesSink(stream)
    sink.write(frame(1), result(1))
    sink.write(frame(2), result(2))
    lines = stream.getvalue().splitlines()
    assert [FrameResult.model_validate_json(line).sequence for line in lines] == [1, 2]


def test_a_file_is_appended_to_and_its_folder_made(output: Path) -> None:
    file = output / "new" / "verdicts.jsonl"
    for sequence in range(2):
        sink = open_sink("jsonl:///new/verdicts.jsonl")
        sink.write(frame(sequence), result(sequence))
        sink.close(10)
    assert [json.loads(line)["sequence"] for line in file.read_text().splitlines()] == [0, 1]


def test_a_full_file_makes_room_and_no_line_is_torn(output: Path) -> None:
    file = output / "verdicts.jsonl"
    link = _JsonLinesFile("/verdicts.jsonl", max_bytes=3 * len(result(10).to_json()) + 3)
    for sequence in range(10, 20):
        link.deliver(Parcel(result(sequence)))
    kept = (output / "verdicts.jsonl.1").read_text() + file.read_text()
    assert [json.loads(line)["sequence"] for line in kept.splitlines()] == [16, 17, 18, 19]
    assert sorted(path.name for path in output.iterdir()) == [
        "verdicts.jsonl",
        "verdicts.jsonl.1",
    ]


def test_a_place_that_cannot_be_written_holds_nobody_up(output: Path) -> None:
    (output / "file").write_text("")
    sink = open_sink("jsonl:///file/verdicts.jsonl")
    sink.write(frame(), result())
    sink.close(10)
    assert sink.account.dropped == 1


def test_overlays_carry_number_and_source(tmp_path: Path) -> None:
    OverlaySink(tmp_path).write(frame(12), result(12))
    picture = read_picture(tmp_path / "000012-part.jpg")
    assert picture.shape == (60, 80, 3)


def test_a_source_cannot_leave_the_folder(tmp_path: Path) -> None:
    strange = result().model_copy(update={"source": "rtsp://cam/a b;c?x=../../etc/.."})
    folder = tmp_path / "overlays"
    OverlaySink(folder).write(frame(), strange)
    assert [path.parent for path in tmp_path.rglob("*.jpg")] == [folder]


def test_a_folder_keeps_the_newest_pictures_also_across_restarts(output: Path) -> None:
    address = "overlay:///pictures?keep=3"
    for first in (0, 2, 4):
        sink = open_sink(address)
        for sequence in range(first, first + 2):
            sink.write(frame(sequence), result(sequence))
            wait_until(lambda sink=sink: sink.account.waiting == 0)
        sink.close(10)
    names = sorted(path.name for path in (output / "pictures").iterdir())
    assert [name.split("-")[2] for name in names] == ["000003", "000004", "000005"]


def test_a_picture_that_changes_after_the_verdict_is_the_sources_fault_not_a_crash(
    output: Path,
) -> None:
    sink = open_sink("overlay:///pictures")
    given = frame()
    sink.write(given, result())
    given.picture[:] = np.uint8(255)
    sink.close(10)
    assert sink.account.delivered == 1
    assert len(list((output / "pictures").iterdir())) == 1
