"""Rollouts, stages, deployments, gates."""
