"""TensorRT 10, 11 and RTX as one library: what they share, and what each can do alone."""
