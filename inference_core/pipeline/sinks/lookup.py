"""The sink for an address: one module a scheme."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from importlib import import_module

from inference_core.contract.results import FrameResult
from inference_core.errors import BadInput, CoreError, RuntimeUnavailable
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sinks.address import parse_address
from inference_core.pipeline.sinks.base import Link
from inference_core.pipeline.sinks.courier import Courier

_log = logging.getLogger(__name__)

_MODULES = {
    "jsonl": "files",
    "overlay": "files",
    "mqtt": "mqtt",
    "mqtts": "mqtt",
    "http": "webhook",
    "https": "webhook",
    "modbus": "modbus",
    "opc.tcp": "opcua",
}
"""A module of this folder has ``open_link(address)``."""

_EXTRAS = {"mqtt": "mqtt", "modbus": "plc", "opcua": "plc"}


def open_sink(address: str) -> Courier:
    """A sink for one address; ``docs/sinks.md`` says how they are written.

    The receiver need not be there yet. Raises ``BadInput`` for a wrong address, and
    ``RuntimeUnavailable`` with what to install.
    """
    parsed = parse_address(address)
    module = _MODULES.get(parsed.scheme)
    if module is None:
        known = ", ".join(f"{scheme}://" for scheme in _MODULES)
        raise BadInput(f"the sink {parsed.scheme}://… is not supported; use {known}")
    try:
        opened = import_module(f"inference_core.pipeline.sinks.{module}")
    except ImportError as error:
        raise RuntimeUnavailable(
            f"the sink {parsed.scheme}:// needs a package that is not here ({error}); "
            f"install it with: pip install 'linewarden[{_EXTRAS.get(module, 'opencv')}]'"
        ) from error
    link: Link = opened.open_link(parsed)
    return Courier(parsed.shown, link)


class SinkGroup:
    """All sinks of a camera as one; neither blocks nor raises, as its couriers do not."""

    def __init__(self, couriers: Sequence[Courier]) -> None:
        self._couriers = tuple(couriers)

    def __len__(self) -> int:
        return len(self._couriers)

    def write(self, frame: Frame, result: FrameResult) -> None:
        """To each sink in turn."""
        for courier in self._couriers:
            courier.write(frame, result)

    def close(self, timeout_s: float = 5.0) -> None:
        """All of them within the time; while one is waited for, the others deliver."""
        deadline_s = time.monotonic() + timeout_s
        for courier in self._couriers:
            courier.close(max(deadline_s - time.monotonic(), 0.0))


def open_sinks(addresses: Sequence[str]) -> SinkGroup:
    """The sinks of a camera. A wrong address is told in the log and left out.

    It is the device's configuration: it must not fail the release.
    """
    opened = [_open_or_tell(address) for address in addresses]
    return SinkGroup([courier for courier in opened if courier is not None])


def _open_or_tell(address: str) -> Courier | None:
    try:
        return open_sink(address)
    except CoreError as error:
        _log.error("no sink: %s", error)
        return None
