"""``infer certify``: hold a release to its golden pictures, for a worker."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inference_core.commands.lines import claim_stdout
from inference_core.contract.golden import PipelineJob, PipelineOutcome
from inference_core.errors import CoreError, NotNow, RuntimeUnavailable
from inference_core.files import read_document
from inference_core.inspection.sandbox import shut_in

_EXIT_CODES = {"succeeded": 0, "refused": 1, "failed": 2}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--job", type=Path, required=True, help="a PipelineJob, JSON; answers with JSON lines"
    )


def execute(args: argparse.Namespace) -> int:
    """0 every verdict agrees, 1 refused, 2 it could not be found out."""
    shut_in(write=[args.job.parent])  # the models are strangers'
    from inference_core.optimize.golden import run_check

    job = read_document(args.job, PipelineJob)
    with claim_stdout() as out:
        # Whatever happens, the last message is an outcome: the worker waits for it.
        try:
            outcome = run_check(job, out.write_message)
        except CoreError as error:
            is_final = not isinstance(error, (NotNow, RuntimeUnavailable))
            outcome = PipelineOutcome(outcome="failed", reason=str(error), is_final=is_final)
            sys.stderr.write(f"infer certify: {error}\n")
        out.write_message(outcome)
    return _EXIT_CODES[outcome.outcome]
