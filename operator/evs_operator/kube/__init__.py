"""The edge to the API server: what is watched, read and written there. Knows no EVS."""
