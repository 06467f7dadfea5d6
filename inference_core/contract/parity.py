"""What it means to keep a limit: judged from figures alone, by whoever has them.

The child that builds judges with these, and so does a server that holds a stored certificate to
other limits than it was made under.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inference_core.contract.build import LatencyFigures, ParityFigures, ParityLimits

METRIC_WORDS: dict[str, str] = {
    "mean_iou": "mean IoU",
    "character_accuracy": "character accuracy",
    "map": "mAP",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "text_f1": "F1",
}
_CLASS_WORDS: dict[str, str] = {"mean_iou": "IoU", "map": "average precision", "accuracy": "recall"}
_CHANCE = {"auroc": 0.5}
"""What a coin reaches, where that is not 0."""
_MAX_NAMED = 5


def find_broken_limit(
    name: str, figures: ParityFigures, latency: LatencyFigures | None, limits: ParityLimits
) -> str | None:
    """The first limit that a measured candidate breaks, as a sentence; None where it keeps all.

    All limits are judged: those of the golden set, of the reference, of the candidate, of speed.
    """
    found = _judge_all(name, figures, latency, limits)
    return next((sentence for sentence in found if sentence), None)


def _judge_all(
    name: str, figures: ParityFigures, latency: LatencyFigures | None, limits: ParityLimits
) -> Iterator[str | None]:
    yield refuse_few(figures.images, figures.class_images, limits)
    yield refuse_poor(figures.metric, figures.reference, limits)
    yield refuse_candidate(name, figures, limits)
    yield refuse_slow(name, latency, limits)


def refuse_few(images: int, class_images: Mapping[str, int], limits: ParityLimits) -> str | None:
    """Why a golden set of so many images shows too little to certify anything, or None."""
    if images < limits.min_images:
        return (
            f"the golden set has {images} images; below {limits.min_images} no figure means "
            "anything: add labelled images"
        )
    short = [f"{name} ({n})" for name, n in class_images.items() if n < limits.min_class_images]
    if short:
        return (
            f"too few golden images show {name_some(short)}; at least {limits.min_class_images} "
            "are asked of each class: add labelled images"
        )
    return None


def refuse_poor(metric: str, reference: float, limits: ParityLimits) -> str | None:
    """Why nothing can be proven with a reference that reaches so little, or None."""
    chance = _CHANCE.get(metric, 0.0)
    least = chance + (1 - chance) * limits.min_reference_metric
    if reference >= least:
        return None
    return (
        f"the reference itself reaches {reference:.2f} {METRIC_WORDS[metric]} on the golden set; "
        f"below {least:.2f} a comparison proves nothing"
    )


def refuse_candidate(name: str, figures: ParityFigures, limits: ParityLimits) -> str | None:
    """The first limit of parity that the candidate breaks, as a sentence; None where it keeps."""
    kept = describe_share(name, figures)
    if figures.share < limits.min_metric_share:
        return f"{kept}; at least {limits.min_metric_share:.1%} is asked"
    if lost := _find_lost(figures.per_class, limits.min_class_share):
        label, kept_share = lost
        return (
            f"{name} kept {kept_share:.1%} of the {_CLASS_WORDS[figures.metric]} of {label}; "
            f"at least {limits.min_class_share:.1%} is asked of each class"
        )
    if lost := _find_lost(figures.per_slice, limits.min_slice_share):
        label, kept_share = lost
        return (
            f"{name} kept {kept_share:.1%} of {METRIC_WORDS[figures.metric]} where {label}; "
            f"at least {limits.min_slice_share:.1%} is asked of each slice"
        )
    if figures.agreement < limits.min_agreement:
        # One letter in eight hardly moves the mean, and makes every such part fail.
        return (
            f"{kept}, but gave the same answer on {figures.agreement:.1%} of {figures.images} "
            f"golden images; at least {limits.min_agreement:.1%} is asked"
        )
    if figures.score_shift > limits.max_score_shift:
        return (
            f"{name} moved the scores by {figures.score_shift:.3f} on average; at most "
            f"{limits.max_score_shift:.3f} is allowed"
        )
    return None


def refuse_slow(name: str, latency: LatencyFigures | None, limits: ParityLimits) -> str | None:
    """Why it is too slow on its hardware, or None; what was not measured proves no speed."""
    if limits.max_p95_ms is None:
        return None
    if latency is None:
        return f"{name} was not measured; at most {limits.max_p95_ms:g} ms is allowed"
    if latency.p95_ms <= limits.max_p95_ms:
        return None
    return (
        f"{name} took {latency.p95_ms:.1f} ms (p95 of {latency.runs} runs on this hardware); at "
        f"most {limits.max_p95_ms:g} ms is allowed"
    )


def describe_share(name: str, figures: ParityFigures) -> str:
    """For example "int8 kept 93.1% of mean IoU (0.71 of 0.76)"."""
    words = METRIC_WORDS[figures.metric]
    values = f"{figures.artifact:.3f} of {figures.reference:.3f}"
    return f"{name} kept {figures.share:.1%} of {words} ({values})"


def name_some(words: list[str]) -> str:
    """The first five, and how many more there are."""
    rest = len(words) - _MAX_NAMED
    return ", ".join(words[:_MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _find_lost(
    figures: Mapping[str, tuple[float, float]], least: float
) -> tuple[str, float] | None:
    """The first class or slice that kept less than ``least``, and what it kept."""
    for name, (reference, artifact) in figures.items():
        if artifact < least * reference:
            return name, artifact / reference
    return None
