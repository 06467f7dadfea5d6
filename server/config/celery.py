"""The Celery application: brokers by mode, queues by hardware profile, a static schedule.

Truth is in SQL rows: a lost message delays work until the next sweep and never loses it.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")

from server.config import settings
from server.lib import redis_broker
from server.lib.broker import SCHEME

ENV = settings.ENV
SOCKET_PATIENCE_S = 5.0
"""Longer than the second for which a worker's question waits for a message."""


def broker() -> dict[str, Any]:
    """Redis where given; else folders in the data directory."""
    if ENV.redis_url is not None:
        # A build may be longer than the default hour; the lease in SQL is what counts.
        visibility_s = ENV.task_visibility_s or int(ENV.build_timeout_s) + 600
        return {
            "broker_url": ENV.redis_url.get_secret_value(),
            "broker_transport_options": {
                "visibility_timeout": visibility_s,
                "unacked_restore_interval": min(10.0, visibility_s / 4),
                "unacked_restore_throttle": 1,
                # Else a request that sends a message waits for ever for a host that is gone.
                "socket_connect_timeout": SOCKET_PATIENCE_S,
                "socket_timeout": SOCKET_PATIENCE_S,
                "socket_keepalive": True,
            },
        }
    folder = ENV.data / "broker"
    for name in ("messages", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return {
        "broker_url": f"{SCHEME}://",
        "broker_transport_options": {
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "control_folder": str(folder / "control"),
            # The default of a second between looks would pass one message a second and queue.
            "polling_interval": 0.1,
        },
    }


def _every(task: str, period_s: float) -> dict[str, Any]:
    """A late sweep is worth nothing: the next one is on its way."""
    return {"task": task, "schedule": period_s, "options": {"expires": 2 * period_s + 1}}


# Sweeps repeat until their rows are right, so that each may run twice and none must run.
SCHEDULE = {
    "sweep-comparisons": _every("server.comparisons.tasks.sweep_comparisons", ENV.tick_s),
    "sweep-uploads": _every("server.uploads.tasks.sweep_uploads", ENV.tick_s),
    "relay-outbox": _every("server.lib.tasks.relay_outbox", ENV.tick_s),
    "sweep-imports": _every("server.registry.tasks.sweep_imports", ENV.tick_s),
    "forget-downloads": _every("server.registry.tasks.forget_downloads", 3600.0),
    "expire-leases": _every("server.builds.tasks.expire_leases", ENV.tick_s),
    "queue-builds": _every("server.builds.tasks.queue_builds", ENV.tick_s),
    "offer-builds": _every("server.device_gateway.tasks.offer_builds", ENV.tick_s),
    "sign-releases": _every("server.builds.tasks.sign_releases", ENV.tick_s),
    "tick-rollouts": _every("server.rollouts.tasks.tick_rollouts", ENV.tick_s),
    "renew-profiles": _every("server.builds.tasks.renew_profiles", 60.0),
    "refresh-timestamp": _every("server.trust.tasks.refresh_timestamp", 3600.0),
    "forget-logs": _every("server.telemetry.tasks.forget_logs", 3600.0),
    "forget-certificates": _every("server.trust.tasks.forget_certificates", 3600.0),
    "forget-assertions": _every("server.device_gateway.tasks.forget_assertions", 600.0),
}

REDIS = redis_broker.Transport
"""What Celery takes for ``redis://``, once its module was imported."""

app = Celery("linewarden")
app.conf.update(
    **broker(),
    task_ignore_result=True,
    task_acks_late=True,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue="default",
    task_create_missing_queues=True,
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    timezone="UTC",
    beat_schedule=SCHEDULE,
    beat_schedule_filename=str(ENV.data / "beat-schedule"),
)
app.autodiscover_tasks()
