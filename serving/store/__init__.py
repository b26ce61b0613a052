"""Published scores: a run is written whole, then made current in one transaction.

tables <- publishing | store (readers) with queries (filters, order, pages) | deleting
changes (between two scores of one customer), exports (CSV, NDJSON)
"""
