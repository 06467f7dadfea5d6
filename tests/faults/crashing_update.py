"""The agent with a power cut inside its own update: ``crashing_update SETTINGS MOMENT``.

The product has no such switch: the functions that an update calls are wrapped here, in this
process only.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device_agent.agent import Agent
from device_agent.config import load_config
from device_agent.files import make_folder
from device_agent.update import wheel
from device_agent.update.agent_code import AgentCode
from device_agent.update.errand import AgentUpdate

_WORK: dict[str, tuple[Any, str]] = {
    "fetch": (AgentUpdate, "_put_in_place"),
    "unpack": (wheel, "unpack"),
    "note": (AgentCode, "try_next"),
}


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(settings: str, moment: str) -> None:
    when, _, name = moment.partition(":")
    if moment == "before:fetch":
        AgentUpdate._take = die  # type: ignore[method-assign]
    elif moment == "after:fetch":
        AgentUpdate._put_in_place = die  # type: ignore[method-assign]
    elif moment == "within:unpack":
        wheel.sync_tree = die
    else:
        owner, method = _WORK[name]
        setattr(owner, method, _wrapped(getattr(owner, method), when))
    config = load_config(Path(settings))
    make_folder(config.data_dir)
    Agent(config).run()


def _wrapped(work: Callable[..., Any], when: str) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> None:
        if when == "before":
            die()
        work(*arguments, **named)
        die()

    return wrapped


if __name__ == "__main__":
    main(*sys.argv[1:])
