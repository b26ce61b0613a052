"""Baselines that the models are compared with: the methods that are usually tried first.

``buyers`` for P(no purchase) and spend, ``contracts`` for P(cancelled). They are fitted on the same
past as the models, and no running server needs them.
"""
