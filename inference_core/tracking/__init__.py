"""Objects keep their number from frame to frame, and are counted where they cross a border."""

from inference_core.tracking.follower import Followed, Follower

__all__ = ["Followed", "Follower"]
