"""Keeps the broker's folder in line with the rows, and has the broker look again."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from server.broker.configuration import BrokerFiles, pid_file, write_broker_folder
from server.lib import clock
from server.trust import device_ca
from server.trust.certificates import ShutOut, authority, who_is_shut_out

REWRITE_EVERY = timedelta(days=1)
"""List and certificate end one day; both are made anew long before."""
_RELOAD_LIMIT_S = 20.0
logger = logging.getLogger(__name__)


def broker_folder() -> Path:
    """Where the broker's files are."""
    folder: Path = settings.ENV.broker_folder or settings.DATA / "mosquitto"
    return folder


def write_folder(folder: Path, *, hosts: Sequence[str], port: int, shut_out: ShutOut) -> None:
    """Write what Mosquitto runs from, with a new certificate for ``hosts``."""
    now, signer = clock.now(), authority()
    own = device_ca.issue_broker(hosts, authority=signer, now=now)
    crl = device_ca.make_crl(signer, sorted(shut_out.serials), now)
    files = BrokerFiles(signer.certificate_pem, own.certificate, own.key, crl)
    write_broker_folder(folder, port=port, files=files, denied=shut_out.devices)


def configured_hosts() -> list[str]:
    """Names that the broker is reached by: by devices, and by the server itself."""
    names = (settings.ENV.broker_host, settings.ENV.broker_inner_host)
    return sorted({name for name in names if name})


class FolderKeeper:
    """Writes the folder when somebody is shut out or let in again, and once a day anyway."""

    def __init__(self) -> None:
        self._written: ShutOut | None = None
        self._written_at: datetime | None = None
        self._is_told = True
        self._is_deaf = False

    def turn(self) -> None:
        """Look at the rows; cheap where nothing has changed."""
        shut_out = who_is_shut_out()
        if shut_out != self._written or self._is_old():
            write_folder(
                broker_folder(),
                hosts=configured_hosts(),
                port=settings.ENV.broker_port,
                shut_out=shut_out,
            )
            self._written, self._written_at, self._is_told = shut_out, clock.now(), False
        if not self._is_told:
            self._tell()

    def _is_old(self) -> bool:
        return self._written_at is None or clock.now() - self._written_at > REWRITE_EVERY

    def _tell(self) -> None:
        try:
            reload_broker(broker_folder(), settings.ENV.broker_reload)
        except (OSError, subprocess.SubprocessError):
            if not self._is_deaf:
                logger.exception(
                    "the broker cannot be told to look again, so that whoever was revoked may "
                    "still be connected; trying again"
                )
            self._is_deaf = True
            return
        self._is_told, self._is_deaf = True, False


def reload_broker(folder: Path, command: Sequence[str] = ()) -> None:
    """Have a running broker read its files again, by ``command`` or by SIGHUP to its pid file.

    A broker without pid file does not run, and reads them when it starts. OSError or
    SubprocessError where it cannot be told.
    """
    if command:
        subprocess.run(list(command), check=True, timeout=_RELOAD_LIMIT_S, stdin=subprocess.DEVNULL)
        return
    try:
        pid = int(pid_file(folder).read_text())
    except FileNotFoundError:
        return
    except ValueError as error:
        raise OSError(f"{pid_file(folder)} holds no process id") from error
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    if name != "mosquitto":
        raise ProcessLookupError(f"process {pid} of {pid_file(folder)} is {name}, not mosquitto")
    os.kill(pid, signal.SIGHUP)
