"""A check that the host that was asked cannot run goes on to others, and to devices all along."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from server.builds import dispatch
from server.builds.checks.queueing import RUN_CHECK
from server.builds.checks.selectors import MAX_PASSES
from server.builds.checks.states import CheckState
from server.builds.models import PipelineCheck

MAX_PROBLEM = 500


@transaction.atomic
def pass_on(*, check: PipelineCheck, host: str, problem: str) -> None:
    """Note that ``host`` signs for the profile and cannot judge; the next sweep asks again.

    One queue serves all hosts that sign, so the same host may be sent it twice. It is asked once:
    what it said stays. After ``MAX_PASSES`` nothing more is sent, and devices alone may judge.
    """
    queued = PipelineCheck.objects.select_for_update().filter(pk=check.pk)
    row = queued.filter(state=CheckState.QUEUED).first()
    if row is None:
        return
    row.asked.setdefault(host, problem[:MAX_PROBLEM])
    row.passes += 1
    row.save(update_fields=["asked", "passes"])
    if row.passes < MAX_PASSES:
        transaction.on_commit(partial(dispatch.forget, RUN_CHECK, row.pk))
