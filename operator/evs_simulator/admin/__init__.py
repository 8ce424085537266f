"""The admin API of the simulator under `/_sim/`: make jobs, faults and accounts, move the clock, read the journal."""
