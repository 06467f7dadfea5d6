"""Immutable dataset versions: images and labels by content."""
