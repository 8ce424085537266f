"""Operators as a competent newcomer writes them with kopf and httpx, following kopf's documentation."""
