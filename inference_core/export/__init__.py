"""A model as other people's servers want it: a DeepStream folder, a Triton model repository."""
