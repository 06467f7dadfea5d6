"""One module for each command of `infer`: `add_arguments(parser)` and `execute(args)`."""
