"""What every app may use; knows no domain."""
