"""The names of the files and folders that a run leaves behind."""

from __future__ import annotations

DATA_REPORT, REJECTED = "data-report.json", "rejected.parquet"
SCORES, REPORT, MODEL = "scores.parquet", "report.html", "model"
TABLES = "flows"
"""Folder of the tables of how customers move."""

OF_A_RUN = (DATA_REPORT, REJECTED, SCORES, REPORT, MODEL, TABLES)
OF_A_MOVEMENT = (REPORT, TABLES)

BACKTEST, PREDICTIONS, BACKTEST_REPORT = "backtest.json", "predictions.parquet", "backtest.html"
OF_A_BACKTEST = (BACKTEST, PREDICTIONS, BACKTEST_REPORT)

MONITORING, MONITORING_METRICS, MONITORING_REPORT = "monitor.json", "monitor.prom", "monitor.html"

REJECTED_ON_SPARK = "_rejected"
"""Folder of what was refused, within a folder that Spark wrote; its readers skip such names."""
