"""Two versions on the same pictures: who is wrong where."""
