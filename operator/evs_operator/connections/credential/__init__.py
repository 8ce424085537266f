"""One credential at one endpoint: what its Secrets hold, and what the cloud says of it."""
