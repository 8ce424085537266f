"""Follows one kind of object at the API server: list, watch, resume, list anew."""
