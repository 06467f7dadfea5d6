"""The command ``infer``: one table, one module a command."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from inference_core import __version__
from inference_core.errors import CoreError

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

EXIT_DONE = 0
EXIT_GATE_FAILED = 1
EXIT_WRONG_USE = 2
_EXIT_INTERRUPTED = 130
_EXIT_BROKEN_PIPE = 141
"""As a shell counts them: 128 and the number of the signal."""

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("inference_core.commands.run", "judge pictures with a model or a pipeline"),
    "count": ("inference_core.commands.count", "count what crosses a line or a zone in a video"),
    "serve": ("inference_core.commands.serve", "the child of an agent: judge cameras until told"),
    "check": ("inference_core.commands.check", "say whether the rules of a pipeline make sense"),
    "inspect": ("inference_core.commands.inspect", "say what is in an ONNX file"),
    "embed": ("inference_core.commands.embed", "bring weights beside an ONNX file into it"),
    "quantize": ("inference_core.commands.quantize", "make a model INT8 by real pictures"),
    "bench": ("inference_core.commands.bench", "measure each runtime that is here, in turns"),
    "build": ("inference_core.commands.build", "build and certify an artifact for a profile"),
    "fit": ("inference_core.commands.fit", "say which profiles this machine may build for"),
    "certify": ("inference_core.commands.certify", "hold a release to its golden pictures"),
    "export": ("inference_core.commands.export", "write a folder for DeepStream or Triton"),
    "compare": ("inference_core.commands.compare", "hold an artifact against its reference"),
    "dataset": ("inference_core.commands.dataset", "convert, split and describe labelled sets"),
}
"""A module has ``add_arguments(parser)`` and ``execute(args) -> int``; only one is imported."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    0 done, 1 ran and failed the gate, 2 wrong use or bad input with one sentence on stderr.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if word in COMMANDS), None)
    try:
        args = _make_parser(chosen).parse_args(arguments)
    except ImportError as error:
        sys.stderr.write(
            f"infer {chosen}: a package is missing ({error}); "
            "pip install 'linewarden[onnx]' is enough for most commands\n"
        )
        return EXIT_WRONG_USE
    logging.basicConfig(stream=sys.stderr, level=args.log_level, format=_LOG_FORMAT)
    try:
        code: int = import_module(COMMANDS[args.command][0]).execute(args)
    except CoreError as error:
        sentence = " ".join(str(error).split())
        sys.stderr.write(f"infer {args.command}: {sentence}\n")
        return EXIT_WRONG_USE
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the answers has had enough, as `head` does. What is still in the buffer of
        # standard output would complain once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_BROKEN_PIPE
    return code


def _make_parser(chosen: str | None) -> argparse.ArgumentParser:
    """Arguments of the chosen command only: the others' packages may not be installed."""
    parser = argparse.ArgumentParser(prog="infer", description="Industrial vision at the edge.")
    parser.add_argument("--version", action="version", version=f"infer {__version__}")
    parser.add_argument(
        "--log-level", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR"]
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == chosen:
            import_module(module).add_arguments(command)
    return parser
