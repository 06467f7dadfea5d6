"""Releases: a pipeline with the versions that it pins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from inference_core.contract.pipeline import PipelineSpec
from server.accounts import audit
from server.datasets.models import DatasetVersion
from server.lib import clock
from server.lib.errors import Conflict, Invalid, Unavailable
from server.lib.messages import read_data
from server.registry.golden import check_golden
from server.registry.inspection import check_rules
from server.registry.models import Alias, ModelVersion, Release

ATTEMPTS = 20


def create_release(
    *,
    name: str,
    pipeline: Any,
    versions: Mapping[str, str],
    notes: str,
    actor: str,
    golden: DatasetVersion | None = None,
    golden_mm_per_px: float | None = None,
) -> Release:
    """Pin a pipeline and one version of each of its models, for good.

    ``@champion`` instead of a version is what that alias names now; the release holds the version
    and does not follow the alias. ``golden`` has whole frames, which the release must judge as its
    reference models do before it is signed for a profile; without it the golden sets of its models
    are used.

    Raises Invalid where the pipeline, its rules, its golden cases or what it pins is wrong,
    Conflict where the name is taken.
    """
    spec = read_data(PipelineSpec, pipeline)
    _check_pins(spec, versions)
    pinned = {model: _version(model, version) for model, version in versions.items()}
    check_rules(spec, {model: version.manifest for model, version in pinned.items()})
    if golden is not None:
        check_golden(golden, pinned.values())
    elif golden_mm_per_px is not None:
        raise Invalid("mm_per_px is the scale of golden cases, but none are named.")
    _refuse_known(name)
    fields = {"notes": notes, "golden": golden, "golden_mm_per_px": golden_mm_per_px}
    for _ in range(ATTEMPTS):
        release = _try_create(
            name=name, spec=spec, pinned=pinned, asked=versions, fields=fields, actor=actor
        )
        if release is not None:
            return release
        _refuse_known(name)
    raise Unavailable("Too many releases are being made at once; try again.")


def _try_create(**wanted: Any) -> Release | None:
    """None where another release took the name or the counter at the same moment."""
    try:
        return _create(**wanted)
    except IntegrityError:
        return None


@transaction.atomic
def _create(
    *,
    name: str,
    spec: PipelineSpec,
    pinned: Mapping[str, ModelVersion],
    asked: Mapping[str, str],
    fields: Mapping[str, Any],
    actor: str,
) -> Release:
    last = Release.objects.aggregate(last=Max("counter"))["last"] or 0
    release = Release.objects.create(
        name=name,
        counter=last + 1,
        pipeline_body=spec.model_dump(mode="json", exclude_none=True),
        **fields,
        created_at=clock.now(),
        created_by=actor,
    )
    release.versions.set(pinned.values())
    audit.record(
        actor=actor,
        action="create",
        subject="release",
        subject_id=name,
        after={
            "counter": release.counter,
            "versions": [str(version) for version in pinned.values()],
            "asked_for": dict(asked),
            "golden": str(release.golden) if release.golden else None,
        },
    )
    return release


def _check_pins(spec: PipelineSpec, versions: Mapping[str, str]) -> None:
    if set(versions) != spec.models:
        raise Invalid(
            f"The pipeline uses the models {', '.join(sorted(spec.models))}; versions are given "
            f"for {', '.join(sorted(versions)) or 'none'}. Give exactly one for each.",
            models=sorted(spec.models),
        )


def _version(model: str, version: str) -> ModelVersion:
    if version.startswith("@"):
        return _aliased(model, version[1:])
    row = ModelVersion.objects.filter(model__name=model, version=version).first()
    if row is None:
        raise Invalid(f"There is no version {version!r} of a model {model!r}.")
    return row


def _aliased(model: str, name: str) -> ModelVersion:
    alias = Alias.objects.select_related("version__model").filter(model__name=model, name=name)
    found = alias.first()
    if found is None or found.version is None:
        raise Invalid(f"The alias {name!r} of a model {model!r} names no version.")
    return found.version


def _refuse_known(name: str) -> None:
    if Release.objects.filter(name=name).exists():
        raise Conflict(f"There is a release {name!r} already; releases never change.")
