"""Builds on the device itself, in its idle window."""
