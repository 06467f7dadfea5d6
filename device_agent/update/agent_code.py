"""The unpacked agents of this box: which one runs, which is tried next, which was given up."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from device_agent.files import make_folder
from device_agent.launcher import Launched, Starts, read_launched, read_starts, write_starts

_KEPT = 2
"""The code that runs, and the one before it."""


class AgentCode:
    """Everything under ``folder``; safe for several threads. Every change is durable."""

    def __init__(self, folder: Path) -> None:
        self.folder = make_folder(folder.absolute())
        self.partial = make_folder(self.folder / "partial")
        self._lock = threading.Lock()
        launched = read_launched()
        stands_behind = launched and Path(launched.code).parent.resolve() == self.folder.resolve()
        self.launched: Launched | None = launched if stands_behind else None

    @property
    def digest(self) -> str | None:
        """Digest of the wheel that runs now; None is the installed agent."""
        return self.launched.digest if self.launched else None

    @property
    def starts(self) -> Starts:
        """What this box knows of its agents."""
        return read_starts(self.folder)

    @property
    def must_prove_itself(self) -> bool:
        """Whether what runs now is still on trial."""
        starts = self.starts
        return self.digest is not None and starts.first == self.digest and not starts.is_proven

    def path(self, digest: str) -> Path:
        """Where code with this digest lies, or would lie."""
        return self.folder / digest

    def wheel_path(self, digest: str) -> Path:
        """Where its wheel lies until it has been unpacked."""
        return self.folder / f"{digest}.whl"

    def try_next(self, digest: str, *, counter: int, limit_s: int, needs_inference: bool) -> None:
        """Let the next start run this code, on trial; what never proved itself makes room."""

        def change(known: Starts) -> Starts:
            proven = known.digests if known.is_proven else known.digests[1:]
            return replace(
                known,
                digests=(digest, *(other for other in proven if other != digest)),
                is_proven=False,
                starts=0,
                counter=counter,
                limit_s=limit_s,
                needs_inference=needs_inference,
                why="",
            )

        self._change(change)

    def prove(self) -> Starts:
        """What runs has proven itself: it is what to fall back to from now on."""
        return self._change(
            lambda known: replace(
                known, digests=known.digests[:_KEPT], is_proven=True, starts=0, why=""
            )
        )

    def count_afresh(self) -> None:
        """What had proven itself before has started well again."""
        self._change(lambda known: replace(known, starts=0))

    def complain(self, why: str) -> None:
        """Say why this start fails; the launcher quotes it when it gives the code up."""
        self._change(lambda known: replace(known, why=why[:1000]))

    def refuse(self, digest: str, why: str) -> None:
        """Do not try this code again until another has been wanted."""
        self._change(lambda known: replace(known, bad=digest, why=why[:1000]))
        self.prune()

    def forgive(self) -> None:
        """Another code is wanted: what was bad may come back one day."""
        self._change(lambda known: replace(known, bad=None))

    def mark_told(self) -> None:
        """The event of what was given up is safe in the outbox."""
        self._change(lambda known: replace(known, reverted=None))
        self.prune()

    def prune(self) -> None:
        """Remove what no start can need any more.

        Only for the thread that unpacks: what it has begun to unpack is not known yet.
        """
        kept = {*self.starts.digests, self.digest, "starts.json", self.partial.name}
        for path in self.folder.iterdir():
            if path.name not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _change(self, change: Callable[[Starts], Starts]) -> Starts:
        with self._lock:
            known = self.starts
            changed = change(known)
            if changed != known:
                write_starts(self.folder, changed)
            return changed
