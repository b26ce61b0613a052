"""Reports as HTML files: of a run, of the lifecycle and of a backtest, with their charts.

``rendering`` turns templates of ``serving/pages`` into pages, for reports and for the server.
"""
