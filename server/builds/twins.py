"""Whether this machine may build for a profile: asked of a child, because it loads runtimes."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from inference_core.contract.build import ProfileSpec
from inference_core.contract.recipe import ProfileFit
from server.lib.children import ChildLimits, run_core

TIMEOUT_S = 120.0
_LIMITS = ChildLimits(memory_bytes=16 * 1024**3, cpu_s=240)
_known: dict[str, str] = {}
_lock = threading.Lock()


def problem_of(profile: ProfileSpec) -> str:
    """Why this machine cannot build for ``profile``; empty where it can."""
    return problems_of([profile])[profile.name]


def problems_of(profiles: Iterable[ProfileSpec]) -> dict[str, str]:
    """The same for several, by name. What was found out holds as long as the process lives."""
    wanted = list(profiles)
    with _lock:
        asked = [profile for profile in wanted if _key(profile) not in _known]
        silent = _ask(asked) if asked else ""
        return {profile.name: _known.get(_key(profile), silent) for profile in wanted}


def _key(profile: ProfileSpec) -> str:
    """Threads and precisions ask nothing of a machine."""
    needs = profile.model_dump(mode="json", exclude={"threads", "precisions"})
    return json.dumps(needs, sort_keys=True)


def _ask(profiles: list[ProfileSpec]) -> str:
    """Learn the answers; returns what to say of a profile that got none, which is asked again."""
    with tempfile.TemporaryDirectory(prefix="linewarden-fit-") as name:
        paths = [Path(name) / f"{number}.json" for number, _ in enumerate(profiles)]
        for path, profile in zip(paths, profiles, strict=True):
            path.write_bytes(profile.to_json())
        command = ["fit", "--json", *map(str, paths)]
        done = run_core(command, timeout_s=TIMEOUT_S, limits=_LIMITS)
    answers = _read(done.stdout)
    _known.update({_key(p): answers[p.name] for p in profiles if p.name in answers})
    return f"it could not be found out: {done.stderr_tail.strip()[-300:] or done.ending.value}"


def _read(output: str) -> dict[str, str]:
    found = {}
    for line in output.splitlines():
        try:
            fit = ProfileFit.model_validate_json(line)
        except ValidationError:
            continue  # a library that prints; what has no answer is told of as such
        found[fit.profile] = fit.problem or ""
    return found
