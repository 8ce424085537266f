"""Which EvsJob is polled next: a heap of due times, and a lane for each budget."""
