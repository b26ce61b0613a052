"""Features and stage of one customer, in plain Python.

NumPy takes about a microsecond for a call, whether it is about one number or hundreds; for a single
customer the calls of :mod:`stagecast.features.engines.memory` cost ten times what they compute.
What is here is compiled once from the same catalogue and the same scheme, and gives the same
numbers, bit by bit: sums are whole numbers in both, and functions that NumPy rounds in its own way
(:mod:`stagecast.features.one_customer.numbers`) are NumPy's here as well.

    events of a request -> :mod:`past`: instants, days, purchase days net of refunds
                        -> :mod:`relations`, :mod:`aggregates`, :mod:`of_catalog`: the features
                        -> :mod:`facts`, :mod:`stages`: the stage, its start, where silence leads
"""
