"""The published recogniser of the sample story: its alphabet lies inside the ONNX."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from inference_core.contract.decoders import CtcDecoder
from inference_core.contract.release import ReleaseManifest
from server.builds import services, worker
from server.builds.states import BuildState
from server.datasets.models import DatasetVersion, Purpose
from server.datasets.services import upload_dataset
from server.demo import board_sets
from server.fleet.models import HardwareProfile
from server.lib import blobs
from server.registry.services import create_model, create_release, upload_version
from tests.server.builds.judging import judge
from tests.server.catalogue import ACTOR, MAX_BYTES

pytestmark = pytest.mark.django_db
MARKING = Path(board_sets.__file__).parent / "models" / "chip-marking"


def marking_set(folder: Path, purpose: Purpose, seeds: range) -> DatasetVersion:
    board_sets.write_markings(board_sets.BoardSet(purpose, seeds), folder / purpose)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((folder / purpose).rglob("*")):
            archive.write(path, path.relative_to(folder / purpose))
    return upload_dataset(
        name=f"marks-{purpose}",
        version="1",
        purpose=purpose,
        notes="",
        file=packed,
        max_bytes=MAX_BYTES,
        actor=ACTOR,
    )


def test_devices_get_the_alphabet_written_out(profile: HardwareProfile, tmp_path: Path) -> None:
    model = create_model(
        name="chip-marking",
        task="text_recognition",
        title="Chip marking",
        golden=marking_set(tmp_path, Purpose.GOLDEN, range(2_000_000, 2_000_004)),
        calibration=marking_set(tmp_path, Purpose.CALIBRATION, range(1_000_000, 1_000_002)),
        actor=ACTOR,
    )
    version = upload_version(
        model=model,
        version="4.0.0",
        manifest=(MARKING / "manifest.json").read_text(),
        notes="",
        chunks=[(MARKING / "model.onnx").read_bytes()],
        max_bytes=MAX_BYTES,
        actor=ACTOR,
    )
    assert isinstance(version.manifest.decoder, CtcDecoder)
    assert version.manifest.decoder.alphabet is None
    build = services.queue_build(version=version, profile=profile, actor="test")

    worker.run_build(build.pk)

    build.refresh_from_db()
    assert build.state == BuildState.SUCCEEDED, build.reason + build.log
    release = create_release(
        name="r1",
        pipeline={
            "pipeline": "marks",
            "stages": [{"id": "mark", "model": "chip-marking"}],
            "rules": [{"fail": "mark.text == ''", "because": "no mark"}],
        },
        versions={"chip-marking": "4.0.0"},
        notes="",
        actor=ACTOR,
    )
    judge(release, profile)
    target = services.sign_release(release_id=release.pk, profile_id=profile.pk)
    manifest = ReleaseManifest.model_validate_json(blobs.read(target.sha256))
    decoder = manifest.artifacts["chip-marking"].manifest.decoder
    assert isinstance(decoder, CtcDecoder)
    assert decoder.alphabet is not None
    assert len(decoder.alphabet) > 6000
