"""When to poll next: what durations were learned, and what waiting costs. Pure."""
