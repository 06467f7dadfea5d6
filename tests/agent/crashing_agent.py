"""The agent with a power cut inside: SIGKILL at one named moment.

The product has no such switch. ``Agent`` takes a hook that is told of every step, and only this
launcher hands in one that kills. Call: ``crashing_agent SETTINGS before:probe``.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from device_agent.agent import Agent
from device_agent.config import load_config
from device_agent.deployment import Step
from device_agent.files import make_folder


def main(settings: str, moment: str) -> None:
    def crash(when: str, step: Step) -> None:
        if f"{when}:{step}" == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    config = load_config(Path(settings))
    make_folder(config.data_dir)
    Agent(config, on_step=crash).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
