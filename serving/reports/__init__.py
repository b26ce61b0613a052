"""Pages written to files: the report of a run, of the lifecycle, of a backtest, and their charts.

``rendering`` turns templates of ``serving/pages`` into pages, for reports and for the server.
"""
