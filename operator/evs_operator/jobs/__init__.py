"""EvsJobs: store, queue, poll, decision and status. Mirrors `connections`, and calls through them."""
