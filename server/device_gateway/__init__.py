"""The only door for agents."""
