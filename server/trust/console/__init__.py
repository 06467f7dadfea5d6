"""``python -m server trust …``: ceremonies from a terminal, with and without the server."""
