"""The child side of an executor: the process in which users' code runs.

Started by `actors.executor_process` as ``python -P launch.py``, it knows nothing of Ray, HTTP or
the scheduler: leases come in on one pipe, frames go out on another, and everything a task prints
lands in a file that the parent holds too. Nothing here is imported by a process that only submits.
"""
