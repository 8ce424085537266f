"""How a call is signed in: access keys, IAM tokens, and what the platform issues. Without I/O of its own."""
