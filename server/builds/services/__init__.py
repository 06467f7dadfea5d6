"""The only writers of builds, artifacts and signed releases."""

from server.builds.services.artifacts import sign_artifact
from server.builds.services.leases import expire_leases, extend_lease, lease_build
from server.builds.services.outcomes import give_up, record_outcome
from server.builds.services.queueing import queue_build, queue_missing_builds, resend_builds
from server.builds.services.releases import (
    ask_builders_to_renew,
    sign_release,
    sign_waiting_releases,
)

__all__ = [
    "ask_builders_to_renew",
    "expire_leases",
    "extend_lease",
    "give_up",
    "lease_build",
    "queue_build",
    "queue_missing_builds",
    "record_outcome",
    "resend_builds",
    "sign_artifact",
    "sign_release",
    "sign_waiting_releases",
]
