"""One file for each runtime that artifacts are built for."""
