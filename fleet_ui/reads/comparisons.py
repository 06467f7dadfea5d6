"""Comparisons for a page: figures with their intervals, and pictures three times side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet_ui.overlays import Overlay, overlay_of_stages
from inference_core.contract.compare import CompareFigures, Judged, RightCounts
from inference_core.contract.results import StageResult
from server.builds.models import Artifact
from server.comparisons import exact, selectors
from server.comparisons.models import Comparison, PictureRow
from server.registry.models import ModelVersion

METRIC_WORDS = {
    "mean_iou": "mean IoU",
    "character_accuracy": "character accuracy",
    "accuracy": "accuracy",
    "map": "mAP",
    "auroc": "AUROC",
    "text_f1": "F1",
}


@dataclass(frozen=True)
class Share:
    """How many were right, and the exact interval of the share that this tells of."""

    hits: int
    tries: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The share itself."""
        return self.hits / self.tries if self.tries else None


@dataclass(frozen=True)
class ClassRow:
    """A class, or all of them: the metric of both, and the pictures that each judged right."""

    label: str
    metric: tuple[float, float] | None
    a: Share
    b: Share


@dataclass(frozen=True)
class Seen:
    """One of the three pictures of a row."""

    title: str
    words: str
    verdict: str
    overlay: Overlay


@dataclass(frozen=True)
class PictureView:
    """A picture with its label and both answers."""

    row: PictureRow
    agrees: bool
    shift: float
    seen: tuple[Seen, ...]


@dataclass(frozen=True)
class ProfileLatency:
    """What the artifacts of both versions took on one profile; None where there is none."""

    profile: str
    a: float | None
    b: float | None


@dataclass(frozen=True)
class Tab:
    """A filter, and how many pictures it leaves."""

    show: str
    label: str
    count: int


def class_rows(figures: CompareFigures) -> list[ClassRow]:
    """All pictures first, then each class."""
    names = dict.fromkeys([*figures.per_class, *figures.right_per_class])
    whole = _class_row("", (figures.a, figures.b), figures.right)
    none = RightCounts(pictures=0, a=0, b=0)
    return [whole] + [
        _class_row(name, figures.per_class.get(name), figures.right_per_class.get(name, none))
        for name in names
    ]


def odds(figures: CompareFigures) -> float:
    """How likely so uneven a split would be between versions that are equally good."""
    return exact.sign_test(figures.only_a_wrong, figures.only_b_wrong)


def latencies(row: Comparison) -> list[ProfileLatency]:
    """Median of each certified artifact, by profile."""
    found: dict[str, dict[int, float]] = {}
    artifacts = Artifact.objects.filter(
        version__in=[row.a, row.b], certificate__isnull=False, superseded_at=None
    )
    for artifact in artifacts.select_related("profile", "certificate"):
        p50_ms = artifact.certificate.body["latency"]["p50_ms"]
        found.setdefault(artifact.profile.name, {})[artifact.version_id] = p50_ms
    return [
        ProfileLatency(name, ms.get(row.a_id), ms.get(row.b_id))
        for name, ms in sorted(found.items())
    ]


@dataclass(frozen=True)
class Better:
    """The side that did better, and by what."""

    letter: str
    why: str


def better_of(figures: CompareFigures) -> Better | None:
    """Who was wrong on fewer pictures alone; by the metric where both were on as many.

    None where neither tells them apart. It is no proof: ``odds`` says how much chance would do.
    """
    only_a, only_b = figures.only_a_wrong, figures.only_b_wrong
    if only_a != only_b:
        letter, fewer, more = ("B", only_b, only_a) if only_a > only_b else ("A", only_a, only_b)
        chance = f"a split so uneven comes by chance in {odds(figures):.1%} of cases."
        return Better(letter, f"alone it is wrong on {fewer}, the other on {more}; {chance}")
    if figures.a == figures.b:
        return None
    letter = "B" if figures.b > figures.a else "A"
    metric = METRIC_WORDS[figures.metric]
    low, high = sorted((figures.a, figures.b))
    return Better(letter, f"both are wrong on as many, its {metric} is {high:.4f}, not {low:.4f}.")


def tabs(figures: CompareFigures) -> list[Tab]:
    """One for each question."""
    show = selectors.Show
    counts = {
        show.ALL: figures.images,
        show.ONLY_A: figures.only_a_wrong,
        show.ONLY_B: figures.only_b_wrong,
        show.BOTH: figures.both_wrong,
        show.DISAGREE: figures.disagree,
    }
    return [Tab(str(name), name.label, count) for name, count in counts.items()]


def picture_views(rows: Iterable[PictureRow]) -> list[PictureView]:
    """Rows as they are drawn."""
    return [_view(row) for row in rows]


def choices() -> dict[str, list[ModelVersion]]:
    """Versions by their model's title, for a form."""
    found: dict[str, list[ModelVersion]] = {}
    for version in ModelVersion.objects.select_related("model").order_by("model__title", "-pk"):
        found.setdefault(version.model.title, []).append(version)
    return found


def is_moving(row: Comparison) -> bool:
    """Whether it still waits or runs."""
    return row.state in ("queued", "running")


def _class_row(label: str, metric: tuple[float, float] | None, counts: RightCounts) -> ClassRow:
    return ClassRow(
        label, metric, _share(counts.a, counts.pictures), _share(counts.b, counts.pictures)
    )


def _share(hits: int, tries: int) -> Share:
    return Share(hits, tries, *exact.interval(hits, tries))


def _view(row: PictureRow) -> PictureView:
    compared = row.compared
    size = compared.width, compared.height

    def judged(title: str, side: Judged) -> Seen:
        verdict = "right" if side.is_right else "wrong"
        return Seen(title, _words(side.answer), verdict, _overlay(side.found, size))

    truth = Seen("Truth", _words(compared.label), "", _overlay(compared.truth, size))
    return PictureView(
        row,
        compared.agrees,
        compared.b.score - compared.a.score,
        (truth, judged("A", compared.a), judged("B", compared.b)),
    )


def _words(answer: str) -> str:
    return answer.replace("_", " ").replace(",", ", ").replace(",  ", ", ") or "nothing"


def _overlay(stage: StageResult | None, size: tuple[int, int]) -> Overlay:
    return overlay_of_stages([stage] if stage else [], *size)
