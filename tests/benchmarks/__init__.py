"""Speed as ratios, measured in one run, interleaved; never a timed test."""
