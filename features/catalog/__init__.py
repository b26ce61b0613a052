"""Definitions of features: data that SQL and NumPy both evaluate.

    feature (one definition) -> catalog (in order, with parameters) -> formula (parsed once)
    standard (for every log), own (the user's), of_customer (attributes known from the start)

A new feature is a line in :mod:`stagecast.features.catalog.standard`. The relations, and the
aggregates that each of them allows, are defined in :mod:`stagecast.features.catalog.feature`.
"""
