"""``infer fit``: which hardware profiles this machine may build for."""

from __future__ import annotations

import argparse
from pathlib import Path

from inference_core.commands.lines import claim_stdout
from inference_core.contract.build import ProfileSpec
from inference_core.files import read_document


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what the command takes."""
    parser.add_argument(
        "profile", type=Path, nargs="+", metavar="PROFILE", help="a file with a ProfileSpec"
    )
    parser.add_argument("--json", action="store_true", help="a ProfileFit a line")


def execute(args: argparse.Namespace) -> int:
    """0 this machine may build for all of them, 1 not for all, 2 a file cannot be read."""
    from inference_core.optimize.fit import fit

    profiles = [read_document(path, ProfileSpec) for path in args.profile]
    with claim_stdout() as out:
        fits = [fit(profile) for profile in profiles]
        for found in fits:
            if args.json:
                out.write_message(found)
            else:
                out.write_line(f"{found.profile}: {found.problem or 'can be built here'}")
    return int(any(found.problem for found in fits))
