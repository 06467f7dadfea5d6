"""Every setting that an operator can change, read from ``LINEWARDEN_*`` and checked at start."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from inference_core.contract.device import Broker

REPOSITORY = Path(__file__).resolve().parents[2]
REDIS_PATIENCE_S = 2.0
"""A web request waits no longer for a Redis whose host is gone."""


class Environment(BaseSettings):
    """Defaults run everything embedded: SQLite, files, no service beside the processes."""

    model_config = SettingsConfigDict(env_prefix="LINEWARDEN_", frozen=True, extra="ignore")

    data: Path = REPOSITORY / "data"
    debug: bool = False
    hosts: list[str] = ["localhost", "127.0.0.1", "[::1]"]
    public_url: str = Field(
        default="http://127.0.0.1:8000", description="How devices and people reach the server."
    )
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://user:password@host/name; none is SQLite in data."
    )
    redis_url: SecretStr | None = Field(
        default=None, description="redis://host:6379/0; none is files in data."
    )
    blobs_url: str | None = Field(
        default=None,
        description="s3://bucket/prefix?endpoint=https://minio:9000&region=eu; none is a folder in "
        "data. Credentials are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the host's role.",
    )
    secret_key: SecretStr | None = Field(default=None, description="None makes one in data.")
    proxies: int = Field(
        default=0, ge=0, le=5, description="How many stand in front and add to X-Forwarded-For."
    )
    tls: bool = Field(default=False, description="Served through TLS: cookies are marked secure.")
    max_model_bytes: int = 512 * 1024 * 1024
    max_dataset_bytes: int = 1024 * 1024 * 1024
    upload_patience_h: float = Field(
        default=24.0, gt=0, description="An upload that gets no byte for so long is given up."
    )
    max_open_uploads: int = Field(default=8, gt=0, description="Of one user, at the same time.")
    max_open_upload_bytes: int = Field(
        default=4 * 1024 * 1024 * 1024, gt=0, description="Of one user, as announced."
    )
    poll_s: float = Field(default=30.0, gt=0)
    build_timeout_s: float = Field(default=3600.0, gt=0)
    build_lease_s: float = Field(
        default=60.0, ge=1, description="A worker that is not heard of for so long is given up."
    )
    task_visibility_s: int | None = Field(
        default=None,
        ge=1,
        description="Redis gives a task that was not acknowledged to another worker after this "
        "time; none is longer than a build may take.",
    )
    build_message_s: float = Field(
        default=300.0, gt=0, description="A message to a builder is sent again after this time."
    )
    tick_s: float = Field(default=5.0, gt=0, description="Pace of sweeps, gates and builds.")

    mlflow_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#@]+$",
        max_length=1000,
        description="The MLflow server that models may be imported from; none: from none.",
    )
    mlflow_token: SecretStr | None = Field(
        default=None, description="Sent to it as a bearer token; none is sent without one."
    )
    mlflow_ca: Path | None = Field(
        default=None, description="Certificates to trust it by, PEM; none: the usual ones."
    )

    broker_host: str | None = Field(
        default=None, max_length=253, description="Where devices find the broker; none: they poll."
    )
    broker_port: int = Field(default=8883, ge=1, le=65535)
    broker_inner_host: str | None = Field(
        default=None, max_length=253, description="How the server reaches it; none: as devices do."
    )
    broker_folder: Path | None = Field(
        default=None, description="What Mosquitto runs from; none is data/mosquitto."
    )
    broker_reload: list[str] = Field(
        default=[], description="Command that makes it look again; none: SIGHUP to its pid file."
    )

    def push_broker(self) -> Broker | None:
        """What devices are told of the broker; None where there is none."""
        if not self.broker_host:
            return None
        return Broker(host=self.broker_host, port=self.broker_port)

    def read_secret_key(self) -> str:
        """The configured key, or the one of this data folder, made on first use."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        path = self.data / "secret_key"
        try:
            # O_EXCL: of several processes that start at once, one makes the key.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text()
        with os.fdopen(handle, "w") as file:
            key = secrets.token_urlsafe(48)
            file.write(key)
        return key

    def database(self) -> dict[str, Any]:
        """Django's ``DATABASES["default"]``."""
        if self.database_url is None:
            return {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": self.data / "linewarden.sqlite",
                "OPTIONS": {
                    "transaction_mode": "IMMEDIATE",
                    "timeout": 20,
                    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
                },
            }
        from psycopg.conninfo import conninfo_to_dict

        parts = conninfo_to_dict(self.database_url.get_secret_value())
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.get("dbname", "linewarden"),
            "USER": parts.get("user", ""),
            "PASSWORD": parts.get("password", ""),
            "HOST": parts.get("host", ""),
            "PORT": parts.get("port", ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
        }

    @field_validator("blobs_url")
    @classmethod
    def _names_a_bucket(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "s3://none")
        if parts.scheme != "s3" or not parts.hostname or parts.netloc != parts.hostname:
            raise ValueError("write s3://bucket/prefix, and no credentials: those are AWS_… alone")
        if unknown := set(parse_qs(parts.query)) - {"endpoint", "region"}:
            raise ValueError(f"{min(unknown)} is not known; after ? stand endpoint and region")
        return url or None

    def blobs(self) -> dict[str, Any]:
        """Django's ``STORAGES["default"]``."""
        if self.blobs_url is None:
            return {
                "BACKEND": "server.lib.storage.AtomicFileSystemStorage",
                "OPTIONS": {"location": self.data / "blobs"},
            }
        parts = urlsplit(self.blobs_url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return {
            "BACKEND": "server.lib.s3.S3BlobStorage",
            "OPTIONS": {
                "bucket_name": parts.netloc,
                "location": parts.path.strip("/"),
                "endpoint_url": query.get("endpoint"),
                "region_name": query.get("region", "us-east-1"),
            },
        }

    def caches(self) -> dict[str, dict[str, Any]]:
        """Django's ``CACHES``: one, shared by all processes in both modes, by two names.

        ``default`` does without a Redis that is away or a disk that is full, ``certain`` raises.
        """
        if self.redis_url is None:
            files = {"LOCATION": self.data / "cache", "OPTIONS": {"MAX_ENTRIES": 20_000}}
            return {
                "default": {**files, "BACKEND": "server.lib.cache.PatientFileCache"},
                "certain": {
                    **files,
                    "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                },
            }
        redis = {
            "LOCATION": self.redis_url.get_secret_value(),
            "VERSION": 2,  # 1 was written by pickle
            "OPTIONS": {
                "serializer": "server.lib.cache.PlainSerializer",
                "socket_connect_timeout": REDIS_PATIENCE_S,
                "socket_timeout": REDIS_PATIENCE_S,
            },
        }
        return {
            "default": {**redis, "BACKEND": "server.lib.cache.PatientRedisCache"},
            "certain": {**redis, "BACKEND": "django.core.cache.backends.redis.RedisCache"},
        }


def load() -> Environment:
    """Settings of this process; makes the data folder, readable by its owner alone."""
    environment = Environment()
    environment.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    # WhiteNoise looks here for collected files and complains where there is no folder.
    (environment.data / "static").mkdir(exist_ok=True)
    return environment
