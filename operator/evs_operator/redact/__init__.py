"""Keeps secrets out of whatever people read: which values, in which forms, and for whom. Imports nothing of ours."""
