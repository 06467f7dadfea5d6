"""Frozen settings from a YAML or JSON file and the environment, loud when wrong."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from device_agent.errors import ConfigError
from inference_core.contract.addresses import (
    DEFAULT_SECRETS_DIR,
    OUTPUT_VARIABLE,
    SECRETS_VARIABLE,
)
from inference_core.contract.base import Slug

DEFAULT_PATH = Path("/etc/linewarden/agent.yaml")
PREFIX = "LINEWARDEN_AGENT_"
"""``LINEWARDEN_AGENT_SERVER_URL`` sets ``server_url``; the server's own variables differ."""

_MEBIBYTE = 1024 * 1024


def _hostname() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", platform.node()).strip("-._")[:64] or "unnamed"


def _lie_together(one: Path, other: Path) -> bool:
    paths = os.path.realpath(one), os.path.realpath(other)
    return os.path.commonpath(paths) in paths


class Config(BaseModel):
    """All settings of the agent. An unknown key is an error, most likely a typing mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server_url: str = Field(description="For example https://fleet.example.com")
    ca_file: Path | None = Field(default=None, description="PEM of a private CA of the server.")
    data_dir: Path = Path("/var/lib/linewarden")
    serial: str = Field(default_factory=_hostname, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    profile: Slug | None = Field(default=None, description="None lets the server match facts.")
    enrolment_token: str | None = Field(default=None, min_length=16, max_length=200, repr=False)
    enrolment_token_file: Path | None = None

    secrets_dir: Path = Field(
        default=Path(DEFAULT_SECRETS_DIR), description="What addresses of sinks may name."
    )
    output_dir: Path | None = Field(
        default=None, description="Where sinks may write files; None: nowhere."
    )

    python: str = Field(default=sys.executable, description="Interpreter of the inference child.")
    child_args: tuple[str, ...] = ("-m", "inference_core", "serve")
    threads: int = Field(default=1, ge=1, le=256)
    heartbeat_s: float = Field(default=2.0, gt=0)
    load_limit_s: float = Field(default=180.0, gt=0, description="Until the child says ready.")
    silence_limit_s: float = Field(default=20.0, gt=0, description="A silent child is killed.")
    child_rss_limit_bytes: int | None = Field(
        default=None, gt=0, description="None: four fifths of the box's memory."
    )
    restart_deaths: int = Field(
        default=5, ge=2, description="So many, and never steady: back to the release before."
    )
    restart_window_s: float = Field(default=1800.0, gt=0, description="Within which they count.")

    min_poll_s: float = Field(default=2.0, gt=0, description="Never ask more often than this.")
    retry_base_s: float = Field(default=1.0, gt=0)
    retry_cap_s: float = Field(default=300.0, gt=0)
    request_timeout_s: float = Field(default=15.0, gt=0)
    bell_spread_s: float = Field(
        default=2.0, ge=0, le=600, description="A bell is answered within, to spread a fleet."
    )
    summary_every_s: float = Field(default=10.0, gt=0)
    health_every_s: float = Field(default=60.0, gt=0)

    outbox_limit_bytes: int = Field(default=64 * _MEBIBYTE, ge=16 * 1024)
    sample_limit: int = Field(default=200, ge=0, description="Sampled pictures kept unsent.")
    disk_reserve_bytes: int = Field(default=64 * _MEBIBYTE, ge=0)

    agent_proof_s: float = Field(
        default=60.0, gt=0, description="A new agent must do well for so long to be kept."
    )
    agent_limit_s: float = Field(
        default=900.0, ge=1, le=86_400, description="A new agent unproven by then ends itself."
    )

    may_build: bool = Field(default=False, description="Build and judge for its profile when idle.")
    build_memory_bytes: int | None = Field(
        default=None, gt=0, description="None: half of what is free when a build begins."
    )
    build_limit_s: float = Field(default=3600.0, gt=0, description="A longer build is given back.")

    @field_validator("server_url")
    @classmethod
    def _is_a_web_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http(s) address")
        if parts.query or parts.fragment or parts.username:
            raise ValueError("give the address only: no user, no query, no fragment")
        return url.rstrip("/")

    @field_validator("secrets_dir", "output_dir")
    @classmethod
    def _lies_apart(cls, folder: Path | None, info: ValidationInfo) -> Path | None:
        """Who sets a camera's sinks at the server must not get at keys or journal."""
        for name in ("data_dir", "secrets_dir"):
            if folder and name in info.data and _lie_together(folder, info.data[name]):
                raise ValueError(f"it and {name} must lie apart, neither in the other")
        return folder

    @property
    def device_url(self) -> str:
        """Where the server answers devices."""
        return f"{self.server_url}/device/v1"

    @property
    def is_plain_text(self) -> bool:
        """Whether tokens would cross a network unencrypted."""
        parts = urlsplit(self.server_url)
        return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")

    def make_child_environment(self, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
        """What the inference child gets: not the agent's own settings, which may hold a token."""
        ours = (SECRETS_VARIABLE, OUTPUT_VARIABLE)
        given = {
            name: value
            for name, value in inherited.items()
            if not name.startswith(PREFIX) and name not in ours
        }
        given[SECRETS_VARIABLE] = str(self.secrets_dir.absolute())
        if self.output_dir is not None:
            given[OUTPUT_VARIABLE] = str(self.output_dir.absolute())
        return given

    def read_enrolment_token(self) -> str | None:
        """The token of the settings or of its file, or None."""
        if self.enrolment_token_file is None:
            return self.enrolment_token
        try:
            return self.enrolment_token_file.read_text().strip()
        except OSError as error:
            raise ConfigError(f"cannot read the enrolment token: {error}") from error


def load_config(
    path: Path | None, environment: Mapping[str, str] = os.environ, **overrides: object
) -> Config:
    """Settings of file, then environment, then ``overrides`` that are not None.

    Raises ``ConfigError`` with one sentence that names the setting and its origin.
    """
    values = _read_file(path) if path or DEFAULT_PATH.exists() else {}
    values |= _read_environment(environment)
    values |= {key: value for key, value in overrides.items() if value is not None}
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from error


def _read_file(path: Path | None) -> dict[str, object]:
    path = path or DEFAULT_PATH
    try:
        values = _parse(path.read_text()) or {}
    except OSError as error:
        raise ConfigError(f"cannot read the settings: {error}") from error
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is neither YAML nor JSON: {reason}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold settings by name, not a {type(values).__name__}")
    return values


def _parse(text: str) -> object:
    """``ValueError`` where it is neither JSON nor YAML."""
    with contextlib.suppress(ValueError):
        return json.loads(text)
    import yaml  # 1 MB that settings in JSON do not pay

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _read_environment(environment: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, text in environment.items():
        if name.startswith(PREFIX):
            key = name[len(PREFIX) :].lower()
            values[key] = tuple(text.split()) if key == "child_args" else text
    return values


def _sentence(error: ValidationError) -> str:
    """First problem only: mend it and the next one shows."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = ", ".join(Config.model_fields)
        return f"unknown setting {name!r}; known are {known}"
    if first["type"] == "missing":
        return f"setting {name!r} is missing: put it in the file, or in {PREFIX}{name.upper()}"
    return f"setting {name!r}: {first['msg'].removeprefix('Value error, ')}"
