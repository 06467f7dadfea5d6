"""``infer dataset``: convert, split and describe labelled sets."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from inference_core.commands.progress import track
from inference_core.datasets.formats import FORMATS, read_set, write_set
from inference_core.datasets.labelled import LabelledSet
from inference_core.datasets.problem import Notes
from inference_core.datasets.split import split_set
from inference_core.datasets.subsets import name_subset

_DEFAULT_SHARES = "train=0.8,valid=0.1,test=0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    formats = "; ".join(f"{name}: {words}" for name, (_, words) in FORMATS.items())
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    convert = actions.add_parser("convert", help="read one format, write another", epilog=formats)
    convert.add_argument("--from", dest="source_format", required=True, choices=FORMATS)
    convert.add_argument("--to", dest="target_format", required=True, choices=FORMATS)
    split = actions.add_parser(
        "split",
        help="divide a set by the bytes of its pictures",
        description="The subset of a picture follows from its SHA-256 alone: pictures added later "
        "move none, equal ones stay together. Classes are not balanced.",
        epilog=formats,
    )
    split.add_argument("--format", dest="source_format", required=True, choices=FORMATS)
    split.add_argument("--shares", type=_parse_shares, default=_DEFAULT_SHARES, metavar="NAME=N,…")
    for action in (convert, split):
        action.add_argument("source", type=Path, metavar="SRC")
        action.add_argument("target", type=Path, metavar="DST", help="a new or empty folder")
    describe = actions.add_parser("describe", help="count what a set holds", epilog=formats)
    describe.add_argument("--format", dest="source_format", required=True, choices=FORMATS)
    describe.add_argument("source", type=Path, metavar="SRC")
    describe.add_argument("--json", action="store_true")


def execute(args: argparse.Namespace) -> int:
    """0 done; what is wrong with a set is ``BadInput``. Losses are told on standard error."""
    notes = Notes()
    labelled = read_set(args.source_format, args.source, notes, track)
    _ACTIONS[args.action](args, labelled, notes)
    for line in notes.lines:
        sys.stderr.write(f"infer dataset: {line}\n")
    return 0


def _convert(args: argparse.Namespace, labelled: LabelledSet, notes: Notes) -> None:
    write_set(args.target_format, labelled, args.target, notes, track)
    sys.stdout.write(f"{_summarise(labelled)} written to {args.target}\n")


def _split(args: argparse.Namespace, labelled: LabelledSet, notes: Notes) -> None:
    divided = split_set(labelled, args.shares)
    write_set(args.source_format, divided, args.target, notes, track)
    counts = Counter(image.subset for image in divided.images)
    for name in args.shares:
        sys.stdout.write(f"{name}: {counts[name]} images\n")


def _describe(args: argparse.Namespace, labelled: LabelledSet, notes: Notes) -> None:
    figures = _count(labelled, notes)
    if args.json:
        sys.stdout.write(f"{json.dumps(figures, ensure_ascii=False)}\n")
        return
    sys.stdout.write(f"{_summarise(labelled)}\n")
    for label in labelled.labels:
        sys.stdout.write(f"{label}: {figures['objects'][label]} objects\n")


_ACTIONS: dict[str, Callable[[argparse.Namespace, LabelledSet, Notes], None]] = {
    "convert": _convert,
    "split": _split,
    "describe": _describe,
}


def _count(labelled: LabelledSet, notes: Notes) -> dict[str, dict[str, int]]:
    """Counts for a program; ``notes`` holds each remark with the number in front."""
    images = labelled.images
    objects = Counter(one.label for image in images for one in image.known_objects)
    return {
        "images": dict(Counter(image.subset for image in images)),
        "objects": {label: objects[label] for label in labelled.labels},
        "classes_of_images": dict(Counter(i.label for i in images if i.label is not None)),
        "outlines": {"objects": sum(bool(o.rings) for i in images for o in i.known_objects)},
        "notes": {line.partition(" ")[2]: int(line.partition(" ")[0]) for line in notes.lines},
    }


def _summarise(labelled: LabelledSet) -> str:
    objects = sum(len(image.known_objects) for image in labelled.images)
    counts = f"{len(labelled.images)} images, {objects} objects, {len(labelled.labels)} classes"
    subsets = sorted({image.subset for image in labelled.images} - {""})
    return f"{counts}, subsets {', '.join(subsets)}" if subsets else counts


def _parse_shares(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name_subset(name)] = float(share)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{part!r} is no NAME=SHARE") from error
    if "" in shares or len(shares) != text.count(",") + 1:
        raise argparse.ArgumentTypeError("every subset needs a name of its own")
    return shares
