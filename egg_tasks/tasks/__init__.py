"""Celery's way in."""
