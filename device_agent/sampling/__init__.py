"""Frames for review: how many may be drawn, which are kept, what was lost on the way."""
