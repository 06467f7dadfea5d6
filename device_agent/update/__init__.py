"""The agent's own next version: brought, judged, tried, proven. ``launcher`` starts it."""
