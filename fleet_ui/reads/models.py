"""Models, their versions, and the matrix of artifacts: profile by precision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Prefetch, Q, QuerySet

from inference_core.contract.build import Candidate, ParityFigures
from inference_core.contract.words import Precision
from server.builds.models import Artifact, Build
from server.builds.selectors import unserved_queues
from server.builds.standing import Standing, standing_of
from server.builds.states import BuildState
from server.fleet.models import HardwareProfile
from server.lib.errors import NotFound
from server.registry.models import ModelVersion, VisionModel

PRECISIONS = [str(precision) for precision in Precision]


@dataclass(frozen=True)
class ModelRow:
    """A model with its newest version and how its builds went."""

    model: VisionModel
    latest: ModelVersion | None
    versions: int
    builds: dict[str, int]


@dataclass(frozen=True)
class MatrixRow:
    """One profile: its build, its artifact, and a cell for every precision."""

    profile: HardwareProfile
    build: Build | None
    artifact: Artifact | None
    cells: tuple[Candidate | None, ...]
    unserved: str = ""
    """What keeps a build, or a signature, waiting: no builder serves the queue."""

    @property
    def standing(self) -> Standing | None:
        """How its artifact stands to the limits of today."""
        return standing_of(self.artifact) if self.artifact else None

    @property
    def state(self) -> str:
        """The word for the row."""
        return self.build.state if self.build else "not_built"


@dataclass(frozen=True)
class Matrix:
    """What became of one version on every profile."""

    precisions: tuple[str, ...]
    rows: tuple[MatrixRow, ...]

    @property
    def is_moving(self) -> bool:
        """Whether a build is still on the way."""
        return any(row.state in (BuildState.QUEUED, BuildState.LEASED) for row in self.rows)


def list_models() -> list[ModelRow]:
    """All models, by name."""
    versions = ModelVersion.objects.order_by("-id")
    models = VisionModel.objects.select_related("golden", "calibration").prefetch_related(
        Prefetch("versions", versions)
    )
    latest = {model.pk: next(iter(model.versions.all()), None) for model in models}
    builds = _count_builds([version.pk for version in latest.values() if version])
    rows = []
    for model in models:
        version = latest[model.pk]
        counts = builds.get(version.pk, {}) if version else {}
        rows.append(ModelRow(model, version, len(model.versions.all()), counts))
    return rows


def model_named(name: str) -> VisionModel:
    """A model with its sets; NotFound where there is none."""
    models = VisionModel.objects.select_related("golden", "calibration")
    model = models.filter(name=name).first()
    if model is None:
        raise NotFound(f"There is no model {name}.")
    return model


def versions_of(model: VisionModel) -> QuerySet[ModelVersion]:
    """Versions, newest first, with counts of builds and the releases that pin them."""
    built = Count("builds", filter=Q(builds__state=BuildState.SUCCEEDED), distinct=True)
    return (
        model.versions.annotate(built=built, tried=Count("builds", distinct=True))
        .select_related("model", "parent__model", "trained_on")
        .prefetch_related("releases", "aliases")
        .order_by("-id")
    )


def matrix_of(version: ModelVersion) -> Matrix:
    """The newest build of every profile in use, with all precisions that it tried."""
    builds: dict[int, Build] = {}
    for build in version.builds.select_related("profile").order_by("id"):
        builds[build.profile_id] = build
    made = Artifact.objects.filter(version=version, superseded_at=None)
    current = {row.profile_id: row for row in made.select_related("certificate", "version__model")}
    in_use = Q(pk__in=builds) | Q(devices__isnull=False)
    profiles = list(HardwareProfile.objects.filter(in_use).distinct().order_by("name"))
    tried = {name for profile in profiles for name in profile.precisions}
    columns = tuple(name for name in PRECISIONS if name in tried)
    unserved = unserved_queues(profiles)
    rows = tuple(
        _matrix_row(
            profile,
            builds.get(profile.pk),
            current.get(profile.pk),
            columns,
            unserved.get(profile.name, ""),
        )
        for profile in profiles
    )
    return Matrix(columns, rows)


def candidates_of(build: Build) -> list[Candidate]:
    """Every precision that a build tried, as the contract has them."""
    return [Candidate.model_validate(body) for body in build.candidates]


@dataclass(frozen=True)
class ClassRow:
    """One class of a certificate; ``images`` is None where it was not counted then."""

    label: str
    images: int | None
    reference: float
    artifact: float


def classes_of(parity: ParityFigures) -> list[ClassRow]:
    """What was kept of every class, and how many golden images show it."""
    counted = parity.class_images
    return [
        ClassRow(label, counted.get(label, 0) if counted else None, reference, artifact)
        for label, (reference, artifact) in parity.per_class.items()
    ]


def _matrix_row(
    profile: HardwareProfile,
    build: Build | None,
    artifact: Artifact | None,
    columns: Iterable[str],
    unserved: str,
) -> MatrixRow:
    tried = {str(c.precision): c for c in candidates_of(build)} if build else {}
    waits = build is not None and (
        build.state == BuildState.QUEUED or (artifact is not None and artifact.signed_at is None)
    )
    cells = tuple(tried.get(name) for name in columns)
    return MatrixRow(profile, build, artifact, cells, unserved if waits else "")


def _count_builds(version_ids: list[int]) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = {}
    rows = Build.objects.filter(version__in=version_ids).order_by()
    for row in rows.values("version_id", "state").annotate(n=Count("pk")):
        counts.setdefault(row["version_id"], {})[row["state"]] = row["n"]
    return counts
