"""``python -m server build-worker``: builds for the profiles that this machine is a twin of."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from server.builds import dispatch, twins
from server.fleet.models import HardwareProfile

WRONG_USE = 2


def main(names: Sequence[str], concurrency: int) -> int:
    """Become a Celery worker; return a status where no queue can be served, and say why."""
    profiles, problems = _choose(names)
    if not problems:
        _become_worker(profiles, concurrency)
    sys.stderr.writelines(f"build-worker: {problem}\n" for problem in problems)
    return WRONG_USE


def _become_worker(profiles: Sequence[str], concurrency: int) -> NoReturn:
    """Its name is the same after a restart, and another for other queues on the same host."""
    queues = ",".join(dispatch.queue_of(profile) for profile in profiles)
    name = f"builder-{hashlib.sha256(queues.encode()).hexdigest()[:8]}@%h"
    sys.stdout.write(f"build-worker: takes builds of {', '.join(profiles)}\n")
    sys.stdout.flush()
    command = [sys.executable, "-m", "celery", "-A", "server.config.celery", "worker"]
    command += ["-n", name, "-P", "threads", "-c", str(concurrency)]
    command += ["-l", "INFO", "--without-gossip", "--without-mingle", "-Q", queues]
    os.execv(command[0], command)  # noqa: S606 - an argument list of the server's own making


def _choose(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Profiles to serve, and why there are none to serve."""
    known = {profile.name: profile for profile in HardwareProfile.objects.order_by("name")}
    absent = [f"there is no hardware profile {name!r}" for name in names if name not in known]
    if absent:
        return [], absent
    wanted = list(names) or list(known)
    found = twins.problems_of(known[name].spec for name in wanted)
    foreign = [f"it cannot build for {name}: {found[name]}" for name in wanted if found[name]]
    fitting = [name for name in wanted if not found[name]]
    if names:
        return fitting, foreign
    if not fitting:
        return [], [*foreign, "this machine is the twin of no hardware profile"]
    return fitting, []
