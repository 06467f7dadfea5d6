"""What sampled pictures may cost the network: a token bucket that survives power cuts.

It believes no clock on the wall: it fills by the machine's own time since its start, so a jump
of the clock gives nothing, and neither does the time in which the box was off.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from device_agent.files import write_atomically
from device_agent.log import logger
from inference_core.contract.base import Message
from inference_core.contract.device import DeviceConfig
from inference_core.contract.sampling import SampleReason
from inference_core.contract.serve import SetSampleRates

_DAY_S = 86_400.0
_SAVED_EVERY_S = 600.0
_LEASE_DAYS = 0.01
"""Spent between two writes. A power cut forfeits what of it was not spent."""

_FIRST_GUESS_BYTES = 100_000.0
_MEMORY = 16
_LEAST_RATE = 1e-9
"""Only the policy's floor is left."""


class _Saved(Message):
    """The file. The leases count as spent, whoever reads it."""

    boot_id: str
    at_s: float
    random_days: float
    chosen_days: float
    random_lease_days: float = 0.0
    chosen_lease_days: float = 0.0
    mean_bytes: float = _FIRST_GUESS_BYTES


@dataclass
class Account:
    """A part of the budget, in days' worth of it: 1 is full, 0 empty, below is a debt."""

    days: float = 1.0
    lease_days: float = 0.0

    def fill(self, elapsed_s: float) -> None:
        """Time passes."""
        self.days = min(1.0, self.days + max(0.0, elapsed_s) / _DAY_S)


class UploadBudget:
    """Two accounts, so that chosen frames never eat what random ones need.

    Random samples may draw on the other account when their own is empty: the floor of the
    policy comes first. A sample is granted whole while its account is above 0, whatever its
    size, because a refusal by size would bias the estimates; the debt is paid back first. So in
    any time, across restarts, at most ``bytes_per_day * (days + 1)`` and one picture for each
    account are granted.

    Thread-safe. ``OSError`` where the disk takes nothing: then nothing is granted.
    """

    def __init__(
        self,
        path: Path,
        device: Callable[[], DeviceConfig],
        *,
        boot_id: str | None = None,
        clock_s: Callable[[], float] | None = None,
    ) -> None:
        self._path, self._device = path, device
        self._boot_id = boot_id or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._clock_s = clock_s or _seconds_since_boot
        self._lock = threading.Lock()
        self._random, self._chosen = Account(), Account()
        self._mean_bytes = _FIRST_GUESS_BYTES
        self._filled_s = self._saved_s = self._clock_s()
        self._load()

    def grant(self, reason: SampleReason, size_bytes: int) -> bool:
        """Whether a sample of this size may be uploaded; it is then paid for, durably."""
        with self._lock:
            self._fill()
            for account, day_bytes in self._list_payers(reason):
                if account.days > 0 and day_bytes > 0:
                    self._spend(account, size_bytes / day_bytes)
                    self._mean_bytes += (size_bytes - self._mean_bytes) / _MEMORY
                    return True
            return False

    def find_rates(self) -> SetSampleRates:
        """What a child may sample now; ``random`` is 0 only while nothing at all may be."""
        device = self._device()
        policy = device.sampling
        with self._lock:
            self._fill()
            random = self._throttle(self._random, policy.random_share, device)
            chosen = self._throttle(self._chosen, policy.chosen_share, device)
        return SetSampleRates(random=random or (_LEAST_RATE if chosen else 0.0), chosen=chosen)

    def save_when_due(self) -> None:
        """Now and then, so that a power cut costs little of the time that has filled it."""
        with self._lock:
            if self._clock_s() - self._saved_s >= _SAVED_EVERY_S:
                self._fill()
                self._save()

    def close(self) -> None:
        """Give back what was set aside for the time until the next write.

        A full disk costs just that.
        """
        with self._lock, contextlib.suppress(OSError):
            self._fill()
            self._random.lease_days = self._chosen.lease_days = 0.0
            self._save()

    def _list_payers(self, reason: SampleReason) -> list[tuple[Account, float]]:
        """Accounts that may pay, with the bytes that they get a day."""
        policy = self._device().sampling
        chosen = (self._chosen, policy.chosen_share * policy.bytes_per_day)
        if reason != "random":
            return [chosen]
        return [(self._random, policy.random_share * policy.bytes_per_day), chosen]

    def _spend(self, account: Account, days: float) -> None:
        """The file is never behind: what is spent lies within a lease that was written before."""
        if days > account.lease_days:
            before, account.lease_days = account.lease_days, days + _LEASE_DAYS
            try:
                self._save()
            except OSError:
                account.lease_days = before
                raise
        account.lease_days -= days
        account.days -= days

    def _throttle(self, account: Account, share: float, device: DeviceConfig) -> float:
        """The factor on what is wanted that keeps the account half full in the long run.

        Full, all that is wanted is allowed; half full, just what flows in; between them the
        allowance falls geometrically, and below it falls to 0 with the account.
        """
        policy = device.sampling
        if account.days <= 0 or share * policy.bytes_per_day <= 0:
            return 0.0
        wanted_s = sum(min(cam.frames_per_s, 1 / device.sample_every_s) for cam in device.cameras)
        wanted_bytes_s = wanted_s * policy.per_random(share) * self._mean_bytes
        if not wanted_bytes_s:
            return 1.0
        ease = share * policy.bytes_per_day / _DAY_S / wanted_bytes_s
        if account.days >= 0.5:
            return min(1.0, math.pow(ease, 2 - 2 * account.days))
        return min(1.0, ease * 2 * account.days)

    def _fill(self) -> None:
        now_s = self._clock_s()
        for account in (self._random, self._chosen):
            account.fill(now_s - self._filled_s)
        self._filled_s = now_s

    def _save(self) -> None:
        saved = _Saved(
            boot_id=self._boot_id,
            at_s=self._filled_s,
            random_days=self._random.days,
            chosen_days=self._chosen.days,
            random_lease_days=self._random.lease_days,
            chosen_lease_days=self._chosen.lease_days,
            mean_bytes=self._mean_bytes,
        )
        write_atomically(self._path, saved.to_json())
        self._saved_s = self._filled_s

    def _load(self) -> None:
        """Without a file the accounts are full; with one that cannot be read they are empty."""
        if not self._path.exists():
            return
        try:
            saved = _Saved.model_validate_json(self._path.read_bytes())
        except ValidationError as error:
            logger.warning("the upload budget cannot be read and begins empty: %s", error)
            self._random.days = self._chosen.days = 0.0
            return
        elapsed_s = self._filled_s - saved.at_s if saved.boot_id == self._boot_id else 0.0
        self._random.days, self._chosen.days = saved.random_days, saved.chosen_days
        for account in (self._random, self._chosen):
            account.fill(elapsed_s)
        self._random.days -= saved.random_lease_days  # after filling: a full one overflows
        self._chosen.days -= saved.chosen_lease_days
        self._mean_bytes = saved.mean_bytes


def _seconds_since_boot() -> float:
    """Also through suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
