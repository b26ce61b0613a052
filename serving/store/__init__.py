"""Store of published scores: a run is written in full, then made current in one transaction.

tables <- publishing | readers | deleting <- store (one object for all of them)
readers: published_runs, ranked_lists (pages, with filters and order of queries), totals,
    stage_totals, customer_history, stored_scores
changes (between two scores of one customer), exports (CSV, NDJSON)
"""
