"""Upkeep of the store: backup, restore, and how long runs are stored.

``backup`` and ``restore`` write and read one file, a store in SQLite, also for PostgreSQL;
``prune`` deletes old runs that nothing needs.
"""
