"""How good a model is out of time, against what would be tried first.

evaluate (one later period) | backtest (several past dates) -> verdict, draws (intervals)
baselines, contract_baselines (the bar to clear)    readiness (what a log allows at all)
"""
