"""Models out of an MLflow registry, over its REST interface alone."""
