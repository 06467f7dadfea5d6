"""The only writers of comparisons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db import transaction

from inference_core import __version__
from inference_core.contract.compare import ComparedPicture, CompareFigures
from server.accounts import audit
from server.accounts.actors import SYSTEM
from server.comparisons import dispatch
from server.comparisons.models import Comparison, PictureRow
from server.comparisons.states import COMPARISON, MAX_ATTEMPTS, ComparisonState
from server.datasets.models import DatasetVersion
from server.lib import clock
from server.lib.errors import Invalid
from server.lib.leases import Leases
from server.lib.states import move
from server.registry.models import ModelVersion

LEASE_S = 60.0
LEASES = Leases(
    COMPARISON,
    Comparison,
    waiting=ComparisonState.QUEUED,
    held=ComparisonState.RUNNING,
    lease_s=LEASE_S,
)
AT_ONCE = 1
"""Of all comparisons: the threads of the default queue also run the schedule."""
BATCH = 500


def request_comparison(
    *, a: ModelVersion, b: ModelVersion, dataset: DatasetVersion | None, actor: str
) -> Comparison:
    """The comparison of A and B: the one that there is, or a new one that is queued.

    Without a dataset it is the golden set of A's model. One that failed is queued afresh. Raises
    Invalid where the two cannot be compared.
    """
    if a.pk == b.pk:
        raise Invalid("Choose two versions; one is always as good as itself.")
    if a.model.task != b.model.task:
        raise Invalid(f"{a} is for {a.model.task}, and {b} for {b.model.task}.")
    judge = dataset or a.model.golden
    same = Comparison.objects.filter(a=a, b=b, dataset=judge)
    failed = same.filter(state=ComparisonState.FAILED).count()
    with transaction.atomic():
        row, is_new = Comparison.objects.get_or_create(
            key=_key(a, b, judge, failed),
            defaults={
                "a": a, "b": b, "dataset": judge, "created_at": clock.now(), "created_by": actor,
            },
        )  # fmt: skip
        if is_new:
            after = {"a": str(a), "b": str(b), "dataset": str(judge)}
            audit.record(
                actor=actor,
                action="request",
                subject="comparison",
                subject_id=str(row.pk),
                after=after,
            )
            transaction.on_commit(partial(dispatch.send, row.pk))
    return row


def lease_comparison(*, comparison_id: int, owner: str) -> Comparison | None:
    """Take a queued one for ``owner``; None where it is not queued or others run already."""
    row = Comparison.objects.select_related("a__model", "b__model", "dataset").filter(
        pk=comparison_id, state=ComparisonState.QUEUED
    )
    found = row.first()
    if found is None or LEASES.count_alive() >= AT_ONCE:
        return None
    return found if LEASES.take(found, owner, share=0.0) else None


def extend_lease(*, comparison: Comparison, owner: str, share: float) -> bool:
    """Keep the lease and store the progress; False where it is no longer ``owner``'s."""
    return LEASES.extend(comparison, owner, share=share)


def record_figures(
    *,
    comparison: Comparison,
    owner: str,
    figures: CompareFigures,
    pictures: Iterable[ComparedPicture],
) -> None:
    """Keep what came of it, for good. Raises Conflict where the lease was lost."""
    with transaction.atomic():
        LEASES.lock(comparison, owner)
        PictureRow.objects.bulk_create(
            (_row(comparison, picture) for picture in pictures), batch_size=BATCH
        )
        body = figures.model_dump(mode="json")
        _close(comparison, ComparisonState.SUCCEEDED, owner, "", share=1.0, figures_body=body)


def give_up(*, comparison: Comparison, owner: str, why: str, is_final: bool) -> None:
    """End an attempt that brought nothing: for good, or to be tried again, thrice at most."""
    with transaction.atomic():
        LEASES.lock(comparison, owner)
        if is_final or comparison.attempts >= MAX_ATTEMPTS:
            _close(comparison, ComparisonState.FAILED, owner, why)
            return
        LEASES.put_back(comparison, why, actor=owner)
    dispatch.forget(comparison.pk)


def sweep_comparisons() -> None:
    """Take back those whose worker was not heard of, and send the oldest that waits."""
    LEASES.expire(_take_back)
    waiting = Comparison.objects.filter(state=ComparisonState.QUEUED).order_by("pk")
    for row in waiting[:1]:
        dispatch.send_again(row.pk)


def _take_back(row: Comparison, why: str) -> None:
    give_up(comparison=row, owner=row.lease_owner, why=why, is_final=False)


def _close(row: Comparison, state: ComparisonState, owner: str, why: str, **changes: Any) -> None:
    ended = {"finished_at": clock.now(), "lease_expires_at": None, **changes}
    move(COMPARISON, row, state, actor=owner or SYSTEM, reason=why, **ended)
    Comparison.objects.filter(pk=row.pk).update(reason=why[:2000])
    row.reason = why


def _row(comparison: Comparison, picture: ComparedPicture) -> PictureRow:
    return PictureRow(
        comparison=comparison,
        image=picture.image,
        image_sha256=picture.image_sha256,
        a_is_right=picture.a.is_right,
        b_is_right=picture.b.is_right,
        agrees=picture.agrees,
        body=picture.model_dump(mode="json", exclude_none=True),
    )


def _key(a: ModelVersion, b: ModelVersion, dataset: DatasetVersion, failed: int) -> str:
    parts = {
        "a": [a.sha256, a.manifest_sha256, a.pk],
        "b": [b.sha256, b.manifest_sha256, b.pk],
        "dataset": dataset.sha256,
        "toolchain": __version__,
        "failed_before": failed,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
