"""Reasons: what in a customer's past moves the risk.

``of_buyers`` for P(no purchase), ``of_contracts`` for P(cancelled).
"""
