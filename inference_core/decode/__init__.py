"""Decoders know meaning: output tensors to results, one file for each kind."""
