"""The daemon on each box: keeps the device at its goal, and reports."""
