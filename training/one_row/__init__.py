"""Predictions for one customer, compiled once from the models of a bundle.

The numbers are those of :func:`stagecast.training.models.predict`, bit by bit. Where a formula is
element-wise, it is the same code on plain numbers
(:mod:`stagecast.features.one_customer.numbers`); integrals, designs and trees are NumPy's and
LightGBM's, on one row, with all that does not depend on the customer prepared.

``base``       the customer base: P(no purchase), P(alive), orders within several spans
``base_of_arrays``  the same with regular gaps, which have no form for one number
``prospects``  customers who have not bought yet
``reasons``    why a risk is as it is
``value``      orders, spend, value and its parts
``predict``    all models: :class:`ModelsOfOne`
"""
