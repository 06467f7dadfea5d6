"""Ingest of what devices tell, and its roll-ups."""
