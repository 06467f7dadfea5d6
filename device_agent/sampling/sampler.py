"""Holds sampling to the upload budget, and tells of what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable

from device_agent.sampling.losses import SampleLosses
from device_agent.sampling.upload_budget import UploadBudget
from inference_core.contract.serve import SetSampleRates

_NOTABLE = 0.1
"""Smaller changes of a rate are not worth a message."""


class Sampler:
    """The inference child draws; this says how often, as the budget fills and empties.

    ``set_rates`` hands the rates to the children, also to those that start later.
    ``notice(name, detail)`` hears of what a person may want to read.
    """

    def __init__(
        self,
        budget: UploadBudget,
        losses: SampleLosses,
        *,
        set_rates: Callable[[SetSampleRates], None],
        notice: Callable[[str, str], None],
    ) -> None:
        self._budget, self._losses = budget, losses
        self._set_rates, self._notice = set_rates, notice
        self._rates: SetSampleRates | None = None

    def turn(self) -> None:
        """Every second or so; cheap where nothing has changed."""
        rates = self._budget.find_rates()
        if self._rates is None or _differ(rates, self._rates):
            self._tell_edge(rates)
            self._set_rates(rates)
            self._rates = rates
        self._losses.tell_when_due(lambda detail: self._notice("samples-dropped", detail))
        self._budget.save_when_due()

    def _tell_edge(self, rates: SetSampleRates) -> None:
        """Frames of a pause have no probability: estimates cannot speak for them."""
        was_paused = self._rates is not None and self._rates.random == 0
        if rates.random == 0 and not was_paused:
            self._notice("sampling-paused", "the upload budget is spent, or is 0")
        elif rates.random > 0 and was_paused:
            self._notice("sampling-resumed", "")


def _differ(new: SetSampleRates, old: SetSampleRates) -> bool:
    return not (
        math.isclose(new.random, old.random, rel_tol=_NOTABLE)
        and math.isclose(new.chosen, old.chosen, rel_tol=_NOTABLE)
    )
