"""Builds and golden cases on the device itself, in its idle window."""
