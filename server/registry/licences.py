"""What a person should know of a licence before a model goes into a product."""

from __future__ import annotations

from dataclasses import dataclass

NOT_TOLD = {"", "noassertion", "none", "unknown", "other"}
_TOLD_BY_FILE = ("license", "licence", "licenses")


@dataclass(frozen=True)
class LicenceWarning:
    """``code`` is stable; ``detail`` says what it means and what to do."""

    code: str
    detail: str


def warnings_of(licence: str, metadata: dict[str, str]) -> list[LicenceWarning]:
    """What is to be said of the licence of a manifest, and of the one that the file names.

    A reading of words, and no legal advice: it says too much rather than too little.
    """
    declared = _declared_by(metadata)
    found = [_judge(text) for text in dict.fromkeys((licence, declared)) if text]
    unique = {warning.code: warning for warning in found if warning is not None}
    warnings = list(unique.values())
    if _is_unknown(licence):
        warnings.append(
            LicenceWarning(
                "licence_unknown",
                "Nobody says under which licence this model may be used. Ask its author, and "
                "upload it with a manifest that says so.",
            )
        )
    elif declared and not _agree(licence, declared):
        warnings.append(
            LicenceWarning(
                "licence_differs",
                f"The manifest says {licence}; the file itself says {declared}. Find out which "
                "of them is right.",
            )
        )
    return warnings


def _declared_by(metadata: dict[str, str]) -> str:
    """The licence that the exporter wrote into the file; empty where it wrote none."""
    told = {key.lower(): value for key, value in metadata.items()}
    return next((told[key].strip() for key in _TOLD_BY_FILE if told.get(key, "").strip()), "")


def _judge(licence: str) -> LicenceWarning | None:
    words = licence.lower()
    if "agpl" in words or "affero" in words:
        return LicenceWarning(
            "licence_agpl",
            f"{licence}: whoever lets others use this model over a network, or gives it away, must "
            "offer the source of the whole work. Get another licence from its author, or take "
            "another model, unless that is what you want.",
        )
    if "gpl" in words.replace("lgpl", ""):
        return LicenceWarning(
            "licence_gpl",
            f"{licence}: whoever passes this model on must offer the source of the whole work.",
        )
    if any(word in words for word in ("-nc", "noncommercial", "non-commercial", "research only")):
        return LicenceWarning(
            "licence_non_commercial", f"{licence}: this model must not be used commercially."
        )
    return None


def _is_unknown(licence: str) -> bool:
    return licence.strip().lower() in NOT_TOLD


def _agree(licence: str, declared: str) -> bool:
    """Whether both name the same, as far as words can tell: "AGPL-3.0 License (…)" is AGPL-3.0."""
    first, second = _plain(licence), _plain(declared)
    return first in second or second in first


def _plain(text: str) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()
    kept = [word for word in words if word not in ("licence", "license", "only", "or", "later")]
    return " ".join(kept)
