"""Sites, lines, devices, hardware profiles, groups, presence."""
