"""The agent with a loop that hangs in its first deployment, and a watch on it that is impatient.

Call: ``hanging_agent SETTINGS``. See ``tests.agent.crashing_agent``.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from device_agent import self_portrait
from device_agent.agent import Agent
from device_agent.config import load_config
from device_agent.deployment import Step
from device_agent.files import make_folder

BREATHLESS_S = 3.0


def main(settings: str) -> None:
    def hang(when: str, step: Step) -> None:
        if (when, step) == ("before", Step.DOWNLOAD):
            threading.Event().wait()

    self_portrait._BREATHLESS_S = BREATHLESS_S
    config = load_config(Path(settings))
    make_folder(config.data_dir)
    Agent(config, on_step=hang).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
