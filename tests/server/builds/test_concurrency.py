from __future__ import annotations

from functools import partial

import pytest

from server.builds import services
from server.builds.models import Build
from server.fleet.models import HardwareProfile
from server.registry.models import ModelVersion, Release
from server.registry.services import create_release
from tests.server.catalogue import ACTOR, MODEL, pipeline
from tests.server.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_many_workers_one_gets_the_lease(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    build = services.queue_build(version=version, profile=profile, actor="test")

    leased = at_once(
        *(partial(services.lease_build, build_id=build.pk, owner=f"w{n}") for n in range(4))
    )

    assert sum(lease is not None for lease in leased) == 1
    assert Build.objects.get().attempts == 1


def test_two_sweeps_at_once_queue_one_build(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    sweep = partial(services.queue_missing_builds, actor="system")

    at_once(sweep, sweep, sweep)

    assert Build.objects.count() == 1


def test_releases_made_at_once_have_counters_of_their_own(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    at_once(
        *(
            partial(
                create_release,
                name=f"r{n}",
                pipeline=pipeline(),
                versions={MODEL: "1.0.0"},
                notes="",
                actor=ACTOR,
            )
            for n in range(3)
        )
    )

    assert sorted(Release.objects.values_list("counter", flat=True)) == [1, 2, 3]
