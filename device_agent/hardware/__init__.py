"""What a board can tell of itself. One file a family of boards."""
