"""Parity limits of a model as a person reads and sets them, with who changed them and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference_core.contract.build import ParityLimits
from server.builds.models import Artifact, Build
from server.builds.standing import failing_artifacts, worth_asking_again
from server.lib.errors import DomainError
from server.registry.limits import AT_LEAST, AT_MOST, DEFAULTS, differences, in_full
from server.registry.limits import warnings_of as model_warnings
from server.registry.models import LimitsChange, VisionModel

CHANGES_SHOWN, ROWS_SHOWN, ANY = 20, 20, "any"

LABELS = {
    "min_metric_share": "Metric of the task, as a share of what the original reaches",
    "min_class_share": "The same of each class",
    "min_slice_share": "The same of each slice",
    "min_agreement": "Share of golden images with the same answer",
    "max_score_shift": "Mean distance of the scores, at most",
    "max_p95_ms": "p95 of one inference on the hardware, ms, at most (empty: any)",
    "min_reference_metric": "What the original itself must reach",
    "min_images": "Golden images, at least",
    "few_images": "Golden images, below which the certificate warns",
    "min_class_images": "Golden images of each class, at least",
    "few_class_images": "Golden images of a class, below which the certificate warns",
}
"""In the order in which they are shown."""


@dataclass(frozen=True)
class LimitRow:
    """One limit. ``typed`` is what stands in its field, ``problem`` why that cannot be."""

    name: str
    label: str
    today: str
    default: str
    bound: str
    typed: str
    problem: str = ""

    @property
    def is_set(self) -> bool:
        """Whether somebody decided otherwise than the default."""
        return self.today != self.default

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers make sense."""
        return self.name.endswith("_images")

    @property
    def is_optional(self) -> bool:
        """Whether nothing is an answer."""
        return self.default == ANY


@dataclass(frozen=True)
class ChangeRow:
    """A change of the history, and the limits that it moved: name, from, to."""

    change: LimitsChange
    moved: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class LimitsPanel:
    """All that the panel shows; ``problem`` and ``reason`` are of a form that was refused.

    ``failing`` artifacts fail the limits of today, builds that are ``askable`` may keep them.
    """

    rows: tuple[LimitRow, ...]
    number: int
    history: tuple[ChangeRow, ...]
    warnings: tuple[str, ...]
    failing: tuple[tuple[Artifact, str], ...]
    askable: tuple[Build, ...]
    reason: str = ""
    problem: str = ""


def panel_of(
    model: VisionModel, typed: Mapping[str, str] | None = None, problem: DomainError | None = None
) -> LimitsPanel:
    """The panel of a model. What was ``typed`` into a form that was refused stays in its fields."""
    limits, typed = model.limits, typed or {}
    wrong = _problems_by_name(problem)
    today, defaults = in_full(limits), in_full(DEFAULTS)
    rows = tuple(
        LimitRow(
            name,
            label,
            spell(today[name]),
            spell(defaults[name]),
            _bound(name),
            typed.get(name, "" if today[name] is None else spell(today[name])),
            wrong.get(name, ""),
        )
        for name, label in LABELS.items()
    )
    changes = model.limits_changes.all()[:CHANGES_SHOWN]
    return LimitsPanel(
        rows=rows,
        number=model.limits_number,
        history=tuple(ChangeRow(change, _moved(change)) for change in changes),
        warnings=tuple(model_warnings(model, limits)),
        failing=tuple(failing_artifacts(model)[:ROWS_SHOWN]),
        askable=tuple(worth_asking_again(model)[:ROWS_SHOWN]),
        reason=typed.get("reason", ""),
        problem=problem.detail if problem else "",
    )


def spell(value: float | None) -> str:
    """A limit in all its digits; 40.0 is 40."""
    if value is None:
        return ANY
    return str(int(value)) if float(value).is_integer() else str(value)


def _moved(change: LimitsChange) -> tuple[tuple[str, str, str], ...]:
    old, new = ParityLimits.model_validate(change.old), ParityLimits.model_validate(change.new)
    return tuple((one.name, spell(one.old), spell(one.new)) for one in differences(old, new))


def _bound(name: str) -> str:
    if name in AT_LEAST:
        return f"not below {AT_LEAST[name]:g}"
    return f"not above {AT_MOST[name]:g}" if name in ("max_score_shift", "max_p95_ms") else ""


def _problems_by_name(problem: DomainError | None) -> dict[str, str]:
    errors = problem.extra.get("errors", []) if problem else []
    return {error["path"]: error["detail"] for error in errors}
