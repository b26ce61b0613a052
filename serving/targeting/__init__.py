"""Whom to contact, and what it brought.

trial (hold-outs and read-outs: statistics alone) <- plan (who is contacted under a budget; the
store, files) <- learned (what closed plans teach the next one)
"""
