from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from server.trust import services
from server.trust.models import MetadataFile, SignedTarget
from tests.server.threads import at_once
from tests.server.trust.conftest import Device, RepositoryFetcher
from tests.server.trust.test_repository import OTHER, PROFILE, newest_version, stored

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_two_first_starts_one_makes_the_repository() -> None:
    at_once(services.ensure_repository, services.ensure_repository)

    assert MetadataFile.objects.filter(role="root").count() == 1


def test_builders_that_publish_at_once_lose_nothing(tmp_path: Path) -> None:
    services.ensure_repository()
    targets = [stored(f"engine {n}".encode()) for n in range(3)]
    foreign = [stored(f"engine {n}".encode(), OTHER) for n in range(2)]

    at_once(
        *(partial(services.publish_targets, PROFILE, [target]) for target in targets),
        *(partial(services.publish_targets, OTHER, [target]) for target in foreign),
    )

    assert SignedTarget.objects.count() == 5
    assert newest_version("targets") == 3
    assert newest_version("snapshot") == newest_version("timestamp")
    device = Device(tmp_path / "device", RepositoryFetcher())
    for target in (*targets, *foreign):
        assert device.download(target.path) is not None
