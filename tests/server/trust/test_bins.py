"""Many targets are spread over bins, and a device finds each of them through few bytes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from inference_core.contract.release import artifact_path, certificate_path, release_path
from server.lib import blobs
from server.trust import bins, selectors, services, storing
from server.trust.models import MetadataFile, SignedTarget
from server.trust.repository import TargetToSign
from tests.server.trust.conftest import Device, RepositoryFetcher
from tests.server.trust.test_repository import OTHER, PROFILE, newest_version, stored

PATHS = [artifact_path("box", "ab" * 32), release_path("box", "r1")]


@pytest.fixture
def small_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four targets fill one."""
    monkeypatch.setattr(bins, "BIN_TARGETS", 4)


@pytest.fixture
def device(tmp_path: Path, fetcher: RepositoryFetcher, db: None) -> Device:
    services.ensure_repository()
    return Device(tmp_path / "device", fetcher)


def released(number: int) -> TargetToSign:
    target = stored(f"release {number}".encode())
    path = release_path(PROFILE, f"r{number}")
    return TargetToSign(path, target.sha256, target.length, target.custom)


def files_of(device: Device, path: str) -> set[str]:
    """Names of what a device without metadata fetches to find a target."""
    asked: set[str] = set()
    fetch = device.fetcher._fetch
    device.fetcher._fetch = lambda url: (asked.add(url), fetch(url))[1]  # type: ignore[method-assign]
    assert device.download(path) is not None
    return {url.removeprefix("metadata/") for url in asked if url.startswith("metadata/")}


def test_an_artifact_and_its_certificate_share_a_place() -> None:
    digest = "0a1b" + "c" * 60
    assert bins.place_of(artifact_path("box", digest)) == "a0a1b"
    assert bins.place_of(certificate_path("box", digest)) == "a0a1b"
    assert bins.place_of(release_path("box", "r1")).startswith("r")
    assert bins.place_of("agent/wheels/linewarden-1.0.whl") == ""


@pytest.mark.parametrize(
    ("count", "digits"), [(0, 0), (128, 0), (129, 1), (2048, 1), (2049, 2), (32768, 2), (10**7, 3)]
)
def test_bins_stay_small_on_average(count: int, digits: int) -> None:
    assert bins.digits_for(count) == digits


def test_every_path_lies_in_exactly_one_bin() -> None:
    for family, digits in (("a", 1), ("a", 2), ("r", 1)):
        roles = [bins.delegated_bin("box", p, [], 1) for p in bins.bins_of(family, digits)]
        assert len({role.name for role in roles}) == 16**digits
        for path in [p for p in PATHS if bins.place_of(p)[0] == family]:
            found = [role.name for role in roles if role.is_delegated_path(path)]
            place = bins.place_of(path)[: digits + 1]
            assert found == [bins.role_of_bin("box", place)]
            assert bins.profile_of_bin(found[0]) == "box"


@pytest.mark.parametrize("role", ["root", "agent", "profile-box", "artifacts-zz-box", "cosigned-a"])
def test_no_other_role_passes_for_a_bin(role: str) -> None:
    assert bins.profile_of_bin(role) is None


def test_a_profile_that_grows_is_spread_and_nothing_is_lost(
    device: Device, small_bins: None
) -> None:
    targets = [stored(f"engine {n}".encode()) for n in range(12)]
    releases = [released(n) for n in range(6)]
    services.publish_targets(PROFILE, targets[:3])
    assert device.download(targets[0].path) == b"engine 0"
    for target in (*targets[3:], *releases):
        services.publish_targets(PROFILE, [target])
        assert device.download(target.path) is not None
    for target in (*targets, *releases):
        assert device.download(target.path) is not None
    assert device.download(artifact_path(PROFILE, "f" * 64)) is None


def test_one_more_target_changes_one_bin_and_not_the_profiles_role(
    device: Device, small_bins: None
) -> None:
    services.publish_targets(PROFILE, [stored(f"engine {n}".encode()) for n in range(8)])
    before = dict(MetadataFile.objects.order_by("version").values_list("role", "version"))
    services.publish_targets(PROFILE, [target := stored(b"one more")])
    after = dict(MetadataFile.objects.order_by("version").values_list("role", "version"))
    changed = {role for role, version in after.items() if before[role] != version}
    own = bins.role_of_bin(PROFILE, bins.place_of(target.path)[:2])
    assert changed == {own, "snapshot", "timestamp"}
    assert f"{after[own]}.{own}.json" in files_of(device, target.path)
    assert len([n for n in files_of(device, target.path) if ".artifacts-" in n]) <= 1


def test_old_bins_do_not_pile_up_and_kept_snapshots_find_theirs(
    device: Device, small_bins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "KEPT_VERSIONS", 3)
    services.publish_targets(PROFILE, [stored(f"engine {n}".encode()) for n in range(8)])
    for number in range(24):
        services.publish_targets(PROFILE, [stored(f"more {number}".encode())])
    names = set(MetadataFile.objects.values_list("role", "version"))
    for row in MetadataFile.objects.filter(role="snapshot"):
        for name, pinned in json.loads(bytes(row.body))["signed"]["meta"].items():
            assert (name.removesuffix(".json"), pinned["version"]) in names
    bin_rows = MetadataFile.objects.filter(role__startswith="artifacts-")
    # Where a bin was written, only what the three snapshots before it pinned was left beside it.
    per_bin = Counter(bin_rows.values_list("role", flat=True))
    assert set(per_bin.values()) <= {1, 2, 3, 4}
    assert sum(per_bin.values()) < 16 + 24


def test_a_bin_signed_by_another_profiles_key_is_refused(
    device: Device, small_bins: None, fetcher: RepositoryFetcher
) -> None:
    services.publish_targets(OTHER, [stored(f"other {n}".encode(), OTHER) for n in range(8)])
    services.publish_targets(PROFILE, [stored(f"engine {n}".encode()) for n in range(8)])
    target = stored(b"engine 0")
    place = bins.place_of(target.path)[:2]
    mine, theirs = (bins.role_of_bin(profile, place) for profile in (PROFILE, OTHER))
    version = newest_version(mine)
    fetcher.forged[f"metadata/{version}.{mine}.json"] = selectors.metadata_file(f"1.{theirs}.json")
    with pytest.raises(Exception, match=f"{mine} was signed by 0/1 keys"):
        device.download(target.path)


def test_bins_are_renewed_with_their_profile(
    device: Device, small_bins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.publish_targets(PROFILE, [stored(f"engine {n}".encode()) for n in range(8)])
    MetadataFile.objects.filter(role__startswith="artifacts-").update(
        expires_at=storing.clock.now()
    )
    assert len(services.refresh_timestamp()) == 16 + 2
    assert device.download(stored(b"engine 0").path) == b"engine 0"


def test_what_was_signed_before_there_were_places_is_found_by_its_own(
    device: Device, small_bins: None
) -> None:
    """As the migration fills them."""
    from importlib import import_module

    from django.apps import apps

    services.publish_targets(PROFILE, [stored(b"engine"), released(1)])
    SignedTarget.objects.update(place="")
    import_module("server.trust.migrations.0003_ceremonies").fill_places(apps, None)
    assert {row.place for row in SignedTarget.objects.all()} == {
        bins.place_of(row.path) for row in SignedTarget.objects.all()
    }
    assert blobs.exists(stored(b"engine").sha256)
