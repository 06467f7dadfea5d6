"""Signals of a picture itself: quality, likeness, and a place on a map of pictures."""
