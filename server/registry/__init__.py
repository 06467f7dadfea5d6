"""Models, versions, pipelines and releases."""
