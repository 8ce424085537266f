"""Trace benchmark of the poll schedule: days of jobs in virtual time, against the schedules of others.

`worlds.py` draws the traces, `rivals.py` holds the schedules compared, `replay.py` and `shortage.py` drive them
through a trace without and with a budget of calls, `report.py` makes tables.  `python -m benchmarks.traces`.
"""
