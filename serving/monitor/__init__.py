"""A model watched on a log: what its scores said against what came, what moved, what to do.

windows (events of a log by day), pictures (features and scores at past dates), truth (settled runs,
and scores of past dates held against what came) -> watch (all of it in one result)
-> prometheus (the result as metrics), page (the report); kept (what the store keeps of it, as data)
"""
