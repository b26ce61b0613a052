"""The hazard member of P(no purchase): periods of every customer so far, rolled out over a horizon.

    purchase days -> rows of customers and periods -> hazard -> rolled out -> trees of the log odds

A discrete-time hazard model (LightGBM) learns whether an order came in a period of about a week,
from the columns of the catalogue at its start. Over the horizon it is evaluated period by period on
the silence so far and to come: P(no purchase) = product over the periods of (1 - hazard).

``odds``
    the member as a pool evaluates it, and all of it that a server needs
``histories``, ``periods``
    the columns of customers at any day; the rows that the hazard learns from
``by_period``, ``rolling_out``, ``fitting``
    the hazard of a period; its log odds over a horizon as trees of their own; both in one call
``joining``
    how it becomes a member of a fitted pool
"""
