"""Golden pipeline checks: queued, leased and ended here, and nowhere else.

Beside builds, because a release is held to its golden cases once its artifacts are certified.
"""
