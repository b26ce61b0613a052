"""Store of published scores: a run is written in full, then made current in one transaction.

tables <- publishing | store (readers) with queries (filters, order, pages) | deleting
changes (between two scores of one customer), exports (CSV, NDJSON)
"""
