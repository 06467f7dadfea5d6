"""The only writers of builds, artifacts and signed releases."""

from server.builds.services.artifacts import sign_artifact
from server.builds.services.builders import announce_builder, forget_builder
from server.builds.services.cancelling import MAX_CANCEL_REASON, cancel_build
from server.builds.services.keys import settle_key
from server.builds.services.leases import expire_leases, extend_lease, lease_build
from server.builds.services.outcomes import give_up, record_outcome
from server.builds.services.queueing import (
    Requested,
    queue_build,
    queue_missing_builds,
    request_build,
    resend_builds,
)
from server.builds.services.releases import (
    ask_builders_to_renew,
    sign_release,
    sign_waiting_releases,
)

__all__ = [
    "MAX_CANCEL_REASON",
    "Requested",
    "announce_builder",
    "ask_builders_to_renew",
    "cancel_build",
    "expire_leases",
    "extend_lease",
    "forget_builder",
    "give_up",
    "lease_build",
    "queue_build",
    "queue_missing_builds",
    "record_outcome",
    "request_build",
    "resend_builds",
    "settle_key",
    "sign_artifact",
    "sign_release",
    "sign_waiting_releases",
]
