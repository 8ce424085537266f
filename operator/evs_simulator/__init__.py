"""evs-simulator: the EVS jobs API, its gateway and the part of IAM in front of it, on real HTTP."""
