"""A box whose agent starts in a blink, for tests that start it a hundred times."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.agent.device import Device
from tests.faults.power_cut import Hold, PowerCut, inference_processes, start_agent

LITTLE_CHILD = str(Path(__file__).with_name("little_child.py"))


class QuickDevice(Device):
    """Its inference child is the little one; its agent is the product's, forked and not spawned."""

    _agent: ForkServerProcess | None = None

    def settings(self, **changes: Any) -> Path:
        little = {"python": sys.executable, "child_args": ["-I", "-S", LITTLE_CHILD]}
        return super().settings(**little | changes)

    def switch_on(
        self, cut: PowerCut | None = None, hold: Hold | None = None, **changes: Any
    ) -> None:
        """Start the agent; with ``cut`` it kills itself in that moment, with ``hold`` it waits."""
        assert self._agent is None or not self._agent.is_alive()
        self._agent = start_agent(self.settings(**changes), self._folder / "agent.err", cut, hold)

    @property
    def is_on(self) -> bool:
        return self._agent is not None and self._agent.is_alive()

    @property
    def was_cut(self) -> bool:
        return self._agent is not None and self._agent.exitcode == -signal.SIGKILL

    def switch_off(self) -> None:
        """As systemd stops it; the agent must obey, from when it listens to signals."""
        agent, self._agent = self._agent, None
        if agent is None or not agent.is_alive():
            return
        self.wait(lambda: _listens(agent.pid) or not agent.is_alive(), "listening to signals")
        agent.terminate()
        agent.join(20)
        assert agent.exitcode == 0, f"exit code {agent.exitcode}\n{self.log}"

    def pull_the_plug(self) -> None:
        """The agent and its children die in one moment."""
        assert self._agent is not None
        assert self._agent.pid is not None
        for pid in (*self.children(), self._agent.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._agent.join(10)
        # A process that was killed is seen for a moment longer.
        self.wait(lambda: not self.children(), "gone with the power")

    def kill_agent(self) -> None:
        """The agent alone dies, as by the kernel when memory runs out."""
        assert self._agent is not None
        self._agent.kill()
        self._agent.join(10)

    def stop(self) -> int | None:
        if self._agent is not None and self._agent.is_alive():
            self._agent.kill()
            self._agent.join(10)
        for pid in self.children():
            os.kill(pid, signal.SIGKILL)
        return super().stop()

    def children(self) -> list[int]:
        return inference_processes(self.state)

    def leftovers(self) -> list[str]:
        """What a stopped agent must not leave on its disk."""
        kept = {"releases/" + name for name in (self.current, self.linked("previous")) if name}
        wrong = [*self.state.glob("blobs/partial/*"), *self.state.glob("run/*.pid")]
        wrong += [*self.state.glob("run/job-*"), *self.state.glob("spool/*")]
        wrong += [path for path in self.state.rglob(".*") if path.name != ".status.json"]
        found = [str(path.relative_to(self.state)) for path in wrong]
        releases = {f"releases/{path.name}" for path in (self.state / "releases").iterdir()}
        return sorted([*found, *(releases - kept)])


def _listens(pid: int | None) -> bool:
    """Whether a process has a handler of its own for SIGTERM."""
    with contextlib.suppress(FileNotFoundError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
        return bool(caught >> (signal.SIGTERM - 1) & 1)
    return False
