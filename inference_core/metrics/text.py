"""Character accuracy: 1 - CER, the share of characters that need no correction."""

from __future__ import annotations

from collections.abc import Iterable


def edit_distance(truth: str, reading: str) -> int:
    """Fewest insertions, deletions and substitutions from one to the other (Levenshtein 1966)."""
    before = list(range(len(reading) + 1))
    for row, wanted in enumerate(truth, start=1):
        now = [row]
        for column, got in enumerate(reading, start=1):
            substituted = before[column - 1] + (wanted != got)
            now.append(min(before[column] + 1, now[column - 1] + 1, substituted))
        before = now
    return before[-1]


def character_accuracy(pairs: Iterable[tuple[str, str]]) -> float:
    """1 - CER over all (truth, reading) pairs, at least 0: edits / characters of the truth.

    Edits are pooled, so that a long line weighs more than a short one. Where nothing is to be
    read at all, an empty reading is 1.0 and any other is 0.0.
    """
    edits, characters = 0, 0
    for truth, reading in pairs:
        edits += edit_distance(truth, reading)
        characters += len(truth)
    if characters == 0:
        return 1.0 if edits == 0 else 0.0
    return max(0.0, 1.0 - edits / characters)
