"""The TUF repository: who vouches for which bytes."""
