"""The simulated IAM: accounts, tokens, signatures and temporary credentials."""
