"""evs-operator: follows jobs of Elastic Volume Service and tells the truth about them in Kubernetes."""

__version__ = "0.1.0"
