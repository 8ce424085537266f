"""The simulated EVS: jobs, their bodies and timelines, volumes, and the calls that make them."""
