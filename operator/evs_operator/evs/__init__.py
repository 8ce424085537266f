"""Plain data of the jobs API: jobs, errors and their codes, times. Imports nothing of ours."""
