"""The Kubernetes types of the group: names, spec, status, conditions, reasons. Pure data, no I/O."""
