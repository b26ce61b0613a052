"""What a feature is: data, in words that SQL and NumPy both evaluate.

    feature (one of them) -> catalog (in order, with parameters) -> formula (parsed once)
    standard (what every log has), own (the user's), of_customer (attributes known from the start)

What may be changed where: a new feature is a line in
:mod:`stagecast.features.catalog.standard`; what can be asked of which relation stands in
:mod:`stagecast.features.catalog.feature`.
"""
