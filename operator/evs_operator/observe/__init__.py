"""What the operator shows of itself: logs, metrics, health; and the redaction that all of it passes."""
