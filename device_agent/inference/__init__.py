"""The processes that infer: started, watched, held to their limits, compared, ended."""
