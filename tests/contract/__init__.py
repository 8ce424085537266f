"""Tests of what we promise to others, and of what others promise to us."""
