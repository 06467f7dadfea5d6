"""Decides which agent's code runs, before any of it is imported, and reverts one that fails.

The installed agent's launcher runs first at every start. It counts the start durably and then
becomes the unpacked agent by ``execve``: the same process, so that systemd keeps its main pid
and the notify socket. It needs the standard library only, and must go on working whatever a
later agent has written; see ``Starts`` for what they tell each other.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import NoReturn

from device_agent.files import write_atomically

START_ANEW = 75
"""Exit status of an agent that has put other code in place and wants to be started by it."""

LAUNCHED = "LINEWARDEN_LAUNCHED"
"""Environment variable that holds a ``Launched``: whoever has it is not launched again."""

INSTALLED = "installed"
MAX_STARTS = 3
MAX_STARTS_OF_PROVEN = 10
"""Code that has once proven itself is left only when its files must have rotted."""

_ALARM_GRACE_S = 10
_DEFAULT_SETTINGS = "/etc/linewarden/agent.yaml"
_DEFAULT_DATA_DIR = "/var/lib/linewarden"
_DATA_DIR_VARIABLE = "LINEWARDEN_AGENT_DATA_DIR"
_PLAIN_LINE = re.compile(r"""^data_dir:[ \t]+(["']?)([^"'#\n]+?)\1[ \t]*(?:#.*)?$""", re.MULTILINE)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Starts:
    """How the unpacked agents fare; an unknown field is ignored, so that any agent may add one.

    ``digests``: newest first, each to fall back to the next, and at last to the installed one.
    ``is_proven``, ``starts``, ``counter``, ``limit_s``, ``needs_inference`` are about the first;
    it is ended when it has not proven itself ``limit_s`` after a start. ``bad`` was given up
    before it proved itself; ``reverted`` was given up and nobody has been told; ``why`` says why.
    """

    digests: tuple[str, ...] = ()
    is_proven: bool = True
    starts: int = 0
    counter: int = 0
    limit_s: int = 900
    needs_inference: bool = False
    bad: str | None = None
    reverted: str | None = None
    why: str = ""

    @property
    def first(self) -> str | None:
        """What is to run; None is the installed agent."""
        return self.digests[0] if self.digests else None


@dataclass(frozen=True)
class Launched:
    """How a launcher started this process. ``code`` is the folder of what runs."""

    code: str
    command: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def digest(self) -> str | None:
        """Digest of the wheel that runs; None is the installed agent."""
        name = Path(self.code).name
        return None if name == INSTALLED else name

    def environment_for(self, code: Path) -> dict[str, str]:
        """What code unpacked at ``code`` is started with; its children import it too."""
        marker = json.dumps(asdict(replace(self, code=str(code))))
        return {**os.environ, "PYTHONPATH": str(code), "PYTHONSAFEPATH": "1", LAUNCHED: marker}


def launch(arguments: Sequence[str]) -> None:
    """Become the agent that is to run; returns where that is the code that runs already."""
    if LAUNCHED in os.environ:
        return
    options = _read_arguments(arguments)
    if options.command != "run":
        return
    folder = Path(os.path.abspath(find_data_dir(options))) / "agent"  # noqa: PTH100 - links stay
    if _is_running(folder.parent):
        return  # it refuses to run beside another one, and that must not count as a start
    installed = Launched(
        code=str(folder / INSTALLED),
        command=tuple(sys.orig_argv[1:]),
        settings=_settings(options),
        environment={name: os.environ.get(name) for name in ("PYTHONPATH", "PYTHONSAFEPATH")},
    )
    chosen = _choose_durably(folder)
    if chosen.first:
        _become(folder / chosen.first, installed, arguments, chosen)
    os.environ[LAUNCHED] = json.dumps(asdict(installed))


def read_launched() -> Launched | None:
    """How this process was launched; None where no launcher stands behind it."""
    try:
        values = json.loads(os.environ[LAUNCHED])
        command, settings = tuple(values["command"]), tuple(values["settings"])
        return Launched(str(values["code"]), command, settings, dict(values["environment"]))
    except (KeyError, ValueError, TypeError):
        return None


def start_anew(launched: Launched) -> NoReturn:
    """Start the installed launcher over in this process: a terminal has nobody else to do it."""
    environment = {name: value for name, value in os.environ.items() if name != LAUNCHED}
    for name, value in launched.environment.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    os.execve(sys.executable, [sys.executable, *launched.command], environment)  # noqa: S606


def choose(known: Starts, is_here: Callable[[str], bool]) -> Starts:
    """What to write down before the start that it describes. Pure."""
    while known.first:
        most = MAX_STARTS_OF_PROVEN if known.is_proven else MAX_STARTS
        if not is_here(known.first):
            known = _give_up(known, "its files are gone")
        elif known.starts >= most:
            why = known.why or "it did not say why"
            known = _give_up(known, f"{known.starts} starts have failed: {why}")
        else:
            return replace(known, starts=known.starts + 1)
    return known


def read_starts(folder: Path) -> Starts:
    """What is known; nothing, which runs the installed agent, where the file is damaged."""
    try:
        values = json.loads((folder / "starts.json").read_bytes())
        names = {known.name for known in fields(Starts)}
        known = Starts(**{name: value for name, value in values.items() if name in names})
        known = replace(known, digests=tuple(known.digests))
        return known if _is_sound(known) else Starts()
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return Starts()


def write_starts(folder: Path, starts: Starts) -> None:
    """Keep it durably. ``OSError`` where that cannot be."""
    write_atomically(folder / "starts.json", json.dumps(asdict(starts)).encode())


def find_data_dir(options: argparse.Namespace) -> str:
    """The data folder as the settings have it, without a YAML parser: one plain line is asked."""
    given = options.data_dir or os.environ.get(_DATA_DIR_VARIABLE)
    return given or _data_dir_of(Path(options.config or _DEFAULT_SETTINGS)) or _DEFAULT_DATA_DIR


def _data_dir_of(settings: Path) -> str | None:
    try:
        text = settings.read_text()
        with contextlib.suppress(ValueError):
            return str(json.loads(text)["data_dir"])
        found = _PLAIN_LINE.search(text)
        return found[2] if found else None
    except (OSError, UnicodeDecodeError, KeyError, TypeError, RecursionError):
        return None


def _choose_durably(folder: Path) -> Starts:
    """A start of unproven code that cannot be counted is not risked."""
    known = read_starts(folder)
    chosen = choose(known, lambda digest: (folder / digest / "__main__.py").is_file())
    try:
        if chosen != known:
            write_starts(folder, chosen)
    except OSError as error:
        _say(f"cannot count this start: {error}")
        return chosen if chosen.is_proven else Starts()
    if chosen.reverted != known.reverted:
        _say(f"gave up agent {str(chosen.reverted)[:12]}: {chosen.why}")
    return chosen


def _give_up(known: Starts, why: str) -> Starts:
    return replace(
        known,
        digests=known.digests[1:],
        is_proven=True,
        starts=0,
        bad=known.bad if known.is_proven else known.first,
        reverted=known.first,
        why=why,
    )


def _become(code: Path, installed: Launched, arguments: Sequence[str], chosen: Starts) -> None:
    """``execve``, with a pending alarm: it ends code that hangs before it can look after itself."""
    command = [sys.executable, str(code), *arguments]
    grace_s = max(_ALARM_GRACE_S, chosen.limit_s // 10)
    signal.alarm(0 if chosen.is_proven else chosen.limit_s + grace_s)
    try:
        os.execve(sys.executable, command, installed.environment_for(code))  # noqa: S606
    except OSError as error:
        signal.alarm(0)
        _say(f"cannot start agent {code.name[:12]}: {error}")
        with contextlib.suppress(OSError):  # it is counted, and found again at the next start
            write_starts(code.parent, _give_up(chosen, f"it cannot be executed: {error}"))


def _is_running(data_dir: Path) -> bool:
    try:
        with (data_dir / "agent.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _is_sound(known: Starts) -> bool:
    numbers = (known.starts, known.counter, known.limit_s)
    digests = (*known.digests, *filter(None, (known.bad, known.reverted)))
    return (
        all(type(number) is int and 0 <= number < 1 << 31 for number in numbers)
        and all(_DIGEST.fullmatch(digest) for digest in digests)
        and isinstance(known.is_proven, bool)
        and isinstance(known.why, str)
    )


def _read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="linewarden-agent", add_help=False)
    for name in ("--config", "--server", "--data-dir"):
        parser.add_argument(name)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("command", nargs="?")
    return parser.parse_known_args(arguments)[0]


def _settings(options: argparse.Namespace) -> tuple[str, ...]:
    pairs = {
        "--config": options.config, "--server": options.server, "--data-dir": options.data_dir
    }  # fmt: skip
    return tuple(part for name, value in pairs.items() if value for part in (name, value))


def _say(text: str) -> None:
    print(f"linewarden-agent launcher: {text}", file=sys.stderr, flush=True)
