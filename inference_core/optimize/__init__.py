"""From a model to a certified artifact: convert, quantise, bench, hold to parity, choose."""
