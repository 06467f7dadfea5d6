"""``infer serve``: the child that an agent starts, watches and stops."""

from __future__ import annotations

import argparse
from pathlib import Path

from inference_core.contract.serve import ServeJob
from inference_core.files import read_document


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what the command takes."""
    parser.add_argument("--job", type=Path, required=True, help="a ServeJob as a .json file")


def execute(args: argparse.Namespace) -> int:
    """0 told to stop, 1 after ``Fatal``, 2 for a broken job, 3 when the agent is gone."""
    job = read_document(args.job, ServeJob)

    from inference_core.pipeline.wire import EventStream

    # Before anything heavy is imported: native libraries print whenever they like.
    events = EventStream.capture_stdout()

    from inference_core.pipeline.serve import Server

    return Server(job, events).run()
