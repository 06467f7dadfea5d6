"""The source of intent and of evidence: Django, DRF and Celery."""
