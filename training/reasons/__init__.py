"""Reasons of a risk: the features of a customer that raise or lower it most.

``of_buyers`` explains P(no purchase), ``of_contracts`` P(cancelled).
"""
