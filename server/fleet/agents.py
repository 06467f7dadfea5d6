"""The agent's own code: which versions are signed, and which group should run which."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Max

from server.accounts import audit
from server.fleet.models import AgentRelease, Group
from server.fleet.services import announce
from server.lib import clock


def next_counter() -> int:
    """The counter of the next version; callers hold the repository's lock."""
    last: int | None = AgentRelease.objects.aggregate(last=Max("counter"))["last"]
    return (last or 0) + 1


@transaction.atomic
def record_agent_release(
    *, version: str, counter: int, path: str, sha256: str, length: int, actor: str
) -> AgentRelease:
    """Write down what has been signed, in the transaction that signs it."""
    release = AgentRelease.objects.create(
        version=version,
        counter=counter,
        path=path,
        sha256=sha256,
        length=length,
        published_at=clock.now(),
        published_by=actor,
    )
    audit.record(
        actor=actor,
        action="publish",
        subject="agent_release",
        subject_id=version,
        after={"counter": counter, "sha256": sha256},
    )
    return release


@transaction.atomic
def set_agent_release(*, group: Group, release: AgentRelease | None, actor: str) -> None:
    """Let the group's devices run this agent; None leaves each with the one that it has."""
    before, group.agent_release = group.agent_release, release
    group.save(update_fields=["agent_release"])
    audit.record(
        actor=actor,
        action="set_agent_release",
        subject="group",
        subject_id=group.name,
        before={"agent": before and before.version},
        after={"agent": release and release.version},
    )
    announce(group.devices.values_list("pk", flat=True))
