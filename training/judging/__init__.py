"""Quality of the models out of time, compared with baselines.

evaluate (one later period) -> evaluation_result      backtest (several past dates), draws
(intervals) -> verdict -> verdict_result      grade (of either)      readiness (what a log allows)
"""
