"""Builds, artifacts, parity certificates and signed release targets."""
