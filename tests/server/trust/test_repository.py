"""The repository as a real TUF client walks it."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api import exceptions

from inference_core.contract.release import TargetCustom, artifact_path
from server.lib import blobs, clock
from server.lib.errors import Conflict, NotFound, Unavailable
from server.trust import keys, selectors, services
from server.trust.models import MetadataFile, SignedTarget
from server.trust.repository import TargetToSign
from tests.server.trust.conftest import Device, RepositoryFetcher

pytestmark = pytest.mark.django_db

PROFILE = "x86-onnxruntime"
OTHER = "jetson-orin-nano-jp6.2-trt10.3"


def stored(content: bytes, profile: str = PROFILE) -> TargetToSign:
    blob = blobs.put_bytes(content)
    return TargetToSign(
        artifact_path(profile, blob.sha256),
        blob.sha256,
        blob.length,
        TargetCustom(kind="artifact", profile=profile, peak_memory_bytes=7),
    )


@pytest.fixture
def device(tmp_path: Path, fetcher: RepositoryFetcher) -> Device:
    services.ensure_repository()
    return Device(tmp_path / "device", fetcher)


def test_a_device_downloads_what_a_profile_vouches_for(device: Device) -> None:
    target = stored(b"engine")

    services.publish_targets(PROFILE, [target])

    assert device.download(target.path) == b"engine"


def test_custom_fields_reach_the_device(device: Device) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])

    info = device.updater().get_targetinfo(target.path)

    assert info is not None
    assert TargetCustom.model_validate(info.custom) == target.custom


def test_targets_stay_when_others_are_published(device: Device) -> None:
    first, second, third = stored(b"1"), stored(b"2"), stored(b"3", OTHER)
    for profile, target in ((PROFILE, first), (PROFILE, second), (OTHER, third)):
        services.publish_targets(profile, [target])
        assert device.download(target.path) is not None

    assert device.download(first.path) == b"1"
    assert device.download(third.path) == b"3"


def test_a_profile_cannot_vouch_for_another_profiles_files(device: Device) -> None:
    target = stored(b"engine", OTHER)

    services.publish_targets(PROFILE, [target])

    assert device.download(target.path) is None


def test_the_same_targets_again_change_nothing(device: Device) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])
    before = MetadataFile.objects.count()

    services.publish_targets(PROFILE, [target])

    assert MetadataFile.objects.count() == before


def test_a_signed_path_never_gets_other_bytes(device: Device) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])
    other = blobs.put_bytes(b"another engine")

    with pytest.raises(Conflict):
        services.publish_targets(
            PROFILE, [TargetToSign(target.path, other.sha256, other.length, target.custom)]
        )
    assert device.download(target.path) == b"engine"


def test_nothing_is_signed_whose_bytes_are_not_stored(device: Device) -> None:
    there, absent = stored(b"engine"), stored(b"engine 2")
    absent = TargetToSign("x86-onnxruntime/artifacts/nowhere", "0" * 64, 1, absent.custom)

    with pytest.raises(NotFound):
        services.publish_targets(PROFILE, [there, absent])
    assert not SignedTarget.objects.exists()


def test_bytes_that_were_changed_on_the_way_are_refused(device: Device) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])
    folder, _, name = target.path.rpartition("/")
    device.fetcher.forged[f"targets/{folder}/{target.sha256}.{name}"] = b"evil!!"

    with pytest.raises(exceptions.RepositoryError):
        device.download(target.path)


def test_metadata_that_was_changed_on_the_way_is_refused(device: Device) -> None:
    services.publish_targets(PROFILE, [stored(b"engine")])
    body = json.loads(selectors.metadata_file("timestamp.json"))
    body["signed"]["version"] = 99
    device.fetcher.forged["metadata/timestamp.json"] = json.dumps(body).encode()

    with pytest.raises(exceptions.UnsignedMetadataError):
        device.updater()


def test_an_older_timestamp_is_refused(device: Device) -> None:
    old = selectors.metadata_file("timestamp.json")
    services.publish_targets(PROFILE, [stored(b"engine")])
    device.updater()
    device.fetcher.forged["metadata/timestamp.json"] = old

    with pytest.raises(exceptions.BadVersionNumberError):
        device.updater()


def test_a_profile_role_signed_by_another_profiles_key_is_refused(device: Device) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])
    services.publish_targets(OTHER, [stored(b"other", OTHER)])
    stolen = json.loads(selectors.metadata_file(f"2.profile-{OTHER}.json"))
    device.fetcher.forged[f"metadata/2.profile-{PROFILE}.json"] = json.dumps(stolen).encode()

    with pytest.raises(exceptions.UnsignedMetadataError):
        device.download(target.path)


def test_a_freeze_is_noticed_when_the_metadata_ends(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = clock.now() - timedelta(days=2)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: long_ago)
        services.publish_targets(PROFILE, [stored(b"engine")])

    with pytest.raises(exceptions.ExpiredMetadataError):
        device.updater()


def later(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    moment = clock.now() + timedelta(days=days)
    monkeypatch.setattr(clock, "now", lambda: moment)


@pytest.mark.parametrize(
    ("days", "renewed"),
    [
        (0.3, []),
        (0.7, ["timestamp"]),
        (5, ["snapshot", "timestamp"]),
        (65, [f"profile-{PROFILE}", "snapshot", "timestamp"]),
        (300, [f"profile-{PROFILE}", "root", "targets", "snapshot", "timestamp"]),
    ],
)
def test_what_ends_soon_is_signed_anew_and_still_found(
    device: Device, monkeypatch: pytest.MonkeyPatch, days: float, renewed: list[str]
) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])
    later(monkeypatch, days)

    assert services.refresh_timestamp() == renewed
    assert services.refresh_timestamp() == []
    assert device.download(target.path) == b"engine"


def test_a_device_walks_every_root_since_its_own(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = stored(b"engine")
    services.publish_targets(PROFILE, [target])
    for _ in range(4):
        later(monkeypatch, 300)
        services.refresh_timestamp()

    assert newest_version("root") == 5
    assert device.download(target.path) == b"engine"


def newest_version(role: str) -> int:
    row = selectors.newest(role)
    assert row is not None
    return row.version


def test_a_key_that_is_kept_elsewhere_is_told_of_and_the_rest_is_renewed(
    device: Device, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    services.publish_targets(PROFILE, [stored(b"engine")])
    keys.key_path("root").unlink()
    later(monkeypatch, 300)

    assert "root" not in services.refresh_timestamp()
    assert "root" in caplog.text
    assert newest_version("targets") == 3


def test_publishing_without_the_key_says_which_one_is_missing(device: Device) -> None:
    services.publish_targets(PROFILE, [stored(b"engine")])
    keys.key_path(f"profile-{PROFILE}").unlink()

    with pytest.raises(Unavailable, match=f"profile-{PROFILE}"):
        services.publish_targets(PROFILE, [stored(b"engine 2")])
    assert SignedTarget.objects.count() == 1


def test_keys_are_for_their_owner_only_and_sorted_by_where_they_may_lie(device: Device) -> None:
    services.ensure_profile_role(PROFILE)
    folder = keys.key_path("snapshot").parent
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    assert files == {
        "offline/root.pem",
        "offline/targets.pem",
        "snapshot.pem",
        "timestamp.pem",
        f"builders/profile-{PROFILE}.pem",
    }
    assert all(stat.S_IMODE((folder / name).stat().st_mode) == 0o600 for name in files)


def test_a_second_start_keeps_keys_and_metadata(device: Device) -> None:
    pem, root = keys.key_path("root").read_bytes(), selectors.root_json()

    services.ensure_repository()

    assert keys.key_path("root").read_bytes() == pem
    assert selectors.root_json() == root


@pytest.mark.parametrize(
    "name",
    ["", "root.json", "0.root.json", "1.root.json/../x", "1.nobody.json", "../timestamp.json"],
)
def test_names_of_no_metadata_are_not_found(device: Device, name: str) -> None:
    with pytest.raises(NotFound):
        selectors.metadata_file(name)


def test_old_versions_do_not_pile_up(device: Device) -> None:
    for number in range(services.KEPT_VERSIONS + 5):
        services.publish_targets(PROFILE, [stored(f"engine {number}".encode())])

    assert MetadataFile.objects.filter(role="timestamp").count() == services.KEPT_VERSIONS
    assert MetadataFile.objects.filter(role="root").count() == 1
