"""Pages, one module per noun: read, render; post to a service."""
