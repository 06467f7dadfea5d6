"""What a rule may ask of stages that name things: classifiers, and readers of text."""

from __future__ import annotations

from inference_core.pipeline.patterns import MAX_TEXT_LENGTH, compile_pattern
from inference_core.pipeline.questions import Findings, Unanswerable, least_sure, surest


class ClassFindings(Findings):
    """The class of the picture, as in ``kind.label != 'bracket' or kind.confidence < 0.8``."""

    QUESTIONS = Findings.QUESTIONS | {"label", "score", "confidence", "probability"}

    @property
    def label(self) -> str:
        """The likeliest class; empty where the stage did not run."""
        return self._result.classes[0].label if self._result.classes else ""

    @property
    def score(self) -> float:
        """Probability of the likeliest class; 0 where the stage did not run."""
        return surest(self._result.classes)

    @property
    def confidence(self) -> float:
        """The same as ``score``."""
        return self.score

    def probability(self, label: str) -> float:
        """Of one class; 0 where the stage did not run.

        Of a class that is not among the decoder's ``top`` it is not known, and then a rule such
        as "probability('cracked') > 0.05" must not pass.
        """
        self._require(label)
        for listed in self._result.classes:
            if listed.label == label:
                return listed.score
        if self._result.classes:
            count = len(self._result.classes)
            raise Unanswerable(
                f"{label!r} is not among the {count} likeliest classes; raise the decoder's `top`"
            )
        return 0.0


class CropClassFindings(Findings):
    """The classes of all that an earlier stage found, as in ``heads.count('stripped') > 0``."""

    QUESTIONS = Findings.QUESTIONS | {"count", "score", "confidence"}

    def count(self, label: str | None = None) -> int:
        """How many of the pictures are of one class, or how many there are."""
        return self._count(self._result.classes, label)

    @property
    def score(self) -> float:
        """Probability of the surest; 0 where there is none."""
        return surest(self._result.classes)

    @property
    def confidence(self) -> float:
        """Probability of the least sure; 0 where there is none."""
        return least_sure(self._result.classes)


class TextFindings(Findings):
    """The text of a recogniser, as in ``not marking.matches('^TDA[0-9]{4}P$')``."""

    QUESTIONS = Findings.QUESTIONS | {
        "text", "score", "confidence", "count", "matches", "has_line",
    }  # fmt: skip

    @property
    def text(self) -> str:
        """All lines, with a space between them; empty where nothing was read."""
        return " ".join(line.text for line in self._result.lines)

    @property
    def score(self) -> float:
        """Score of the least sure line; 0 where nothing was read."""
        return least_sure(self._result.lines)

    @property
    def confidence(self) -> float:
        """The same as ``score``."""
        return self.score

    def count(self) -> int:
        """How many lines were read."""
        return len(self._result.lines)

    def matches(self, pattern: str) -> bool:
        """True where the whole text matches; a pattern that could run for long is refused."""
        return _matches(pattern, self.text)

    def has_line(self, pattern: str) -> bool:
        """True where at least one line matches as a whole."""
        compile_pattern(pattern)  # a broken pattern is told of also where nothing was read
        return any(_matches(pattern, line.text) for line in self._result.lines)


def _matches(pattern: str, text: str) -> bool:
    compiled = compile_pattern(pattern)
    if len(text) > MAX_TEXT_LENGTH:
        raise Unanswerable(f"the text has {len(text)} characters, over {MAX_TEXT_LENGTH}")
    return compiled.fullmatch(text) is not None
