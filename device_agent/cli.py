"""``linewarden-agent``: run, once, enrol, status, logs, unit."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import device_agent
from device_agent.config import Config, load_config
from device_agent.errors import AgentError, ConfigError
from device_agent.files import make_folder
from device_agent.launcher import START_ANEW, read_launched, start_anew
from device_agent.log import follow, newest, start_logging
from device_agent.status import agent_is_running, only_agent, read_status
from inference_core import __version__

WORKED, FAILED, WRONG_SETTINGS = 0, 1, 2
_CLEAR = "\033[H\033[2J"
_WATCH_EVERY_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0: done; 1: not reached, try again; 2: wrong settings or arguments."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["tuf"]:  # needs no settings, and has arguments of its own
        from device_agent.tuf_command import main as run_tuf

        return run_tuf(arguments[1:])
    options = _parser().parse_args(arguments)
    if options.command == unit:  # printed before there are settings
        return unit(None, options)
    try:
        config = load_config(
            options.config,
            server_url=options.server,
            data_dir=options.data_dir,
            enrolment_token_file=getattr(options, "token_file", None),
        )
        command: Callable[[Config, argparse.Namespace], int] = options.command
        return command(config, options)
    except ConfigError as error:
        print(f"linewarden-agent: {error}", file=sys.stderr)
        return WRONG_SETTINGS
    except AgentError as error:
        print(f"linewarden-agent: {error}", file=sys.stderr)
        return FAILED


def run(config: Config, options: argparse.Namespace) -> int:
    """Work until stopped. Under systemd, other code is started by the next start."""
    from device_agent.agent import Agent  # status and logs stay quick without it

    with _prepared(config, options):
        exit_status = Agent(config).run()
    launched = read_launched()
    if exit_status == START_ANEW and launched and "NOTIFY_SOCKET" not in os.environ:
        start_anew(launched)
    return exit_status


def self_check(_: Config, __: argparse.Namespace) -> int:
    """Import all of the agent and say its version: what the older agent asks of a newer one."""
    for module in pkgutil.walk_packages(device_agent.__path__, "device_agent."):
        importlib.import_module(module.name)
    importlib.import_module("inference_core.contract")
    _say(__version__)
    return WORKED


def once(config: Config, options: argparse.Namespace) -> int:
    """Reach the goal, deliver, stop."""
    from device_agent.agent import Agent

    with _prepared(config, options):
        is_at_goal = Agent(config).run_once(options.timeout)
    return WORKED if is_at_goal else FAILED


def enrol(config: Config, options: argparse.Namespace) -> int:
    """Become known to the server."""
    from device_agent.enrolment import enrol as become_known
    from device_agent.gateway import Gateway
    from device_agent.identity import Identity
    from device_agent.journal import Journal

    with _prepared(config, options):
        identity = Identity(config.data_dir / "identity")
        journal = Journal.open(config.data_dir / "journal.sqlite")
        reply = become_known(config, identity, Gateway(config, identity), journal)
        journal.close()
    _say(f"device {reply.device_id}, profile {reply.profile}: {reply.state}")
    if reply.state == "pending":
        _say("An administrator must accept it before it is given any work.")
    return WORKED


def status(config: Config, options: argparse.Namespace) -> int:
    """Show where the device stands."""
    if not options.watch:
        return _show_status(config, options)
    try:
        while True:
            print(_CLEAR if sys.stdout.isatty() else "", end="")
            _show_status(config, options)
            sys.stdout.flush()
            time.sleep(_WATCH_EVERY_S)
    except KeyboardInterrupt:
        return WORKED


def _show_status(config: Config, options: argparse.Namespace) -> int:
    from device_agent.screen import WIDTH, draw

    now, is_running = read_status(config.data_dir), agent_is_running(config.data_dir)
    if options.json:
        facts = json.loads(now.to_json()) if now else {}
        _say(json.dumps({"is_running": is_running, **facts}, indent=2))
    else:
        is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        width = max(40, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))
        _say(draw(now, is_running=is_running, is_coloured=is_coloured, width=width))
    return WORKED if is_running else FAILED


def unit(_: Config | None, __: argparse.Namespace) -> int:
    """Print the systemd service for this interpreter."""
    text = (Path(__file__).parent / "systemd" / "linewarden-agent.service").read_text()
    _say(text.replace("@PYTHON@", sys.executable.replace("%", "%%").replace(" ", "\\x20")).rstrip())
    return WORKED


def logs(config: Config, options: argparse.Namespace) -> int:
    """Show the newest lines of the agent's log, or of the inference child's."""
    folder = config.data_dir
    path = folder / "run" / "child.log" if options.child else folder / "logs" / "agent.log"
    try:
        for line in follow(path, options.lines) if options.follow else newest(path, options.lines):
            print(line, flush=True)
    except KeyboardInterrupt:
        return WORKED
    except OSError as error:
        raise ConfigError(f"there is no log yet: {error}") from error
    return WORKED


@contextmanager
def _prepared(config: Config, options: argparse.Namespace) -> Iterator[None]:
    """The data folder made and locked, the log started."""
    try:
        make_folder(config.data_dir)
        with only_agent(config.data_dir):
            start_logging(make_folder(config.data_dir / "logs"), is_verbose=options.verbose)
            yield
    except PermissionError as error:
        raise ConfigError(f"the data folder cannot be used: {error}") from error


def _say(text: str) -> None:
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="linewarden-agent",
        description="Keeps this device at the release that the server wants, and reports.",
        epilog="The TUF client alone: linewarden-agent tuf --help",
    )
    parser.add_argument("--config", type=Path, help="YAML or JSON settings")
    parser.add_argument("--server", help="address of the server; overrides the settings")
    parser.add_argument("--data-dir", type=Path, help="where the agent keeps everything")
    parser.add_argument("--verbose", action="store_true", help="log details too")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "run", run, "work until stopped")
    _add(
        commands, "self-check", self_check, "import everything, read the settings, say the version"
    )
    settle = _add(commands, "once", once, "reach the goal, deliver everything, stop")
    settle.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS")
    join = _add(commands, "enrol", enrol, "become known to the server")
    join.add_argument("--token-file", type=Path, help="file that holds the enrolment token")
    show = _add(commands, "status", status, "show where this device stands")
    show.add_argument("--watch", action="store_true", help="draw it anew every 2 s")
    show.add_argument("--json", action="store_true", help="for programs")
    _add(commands, "unit", unit, "print the systemd service that starts this agent")
    tail = _add(commands, "logs", logs, "show the newest lines of the log")
    tail.add_argument("-n", "--lines", type=int, default=50)
    tail.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    tail.add_argument("--child", action="store_true", help="the inference process instead")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[Config, argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser
