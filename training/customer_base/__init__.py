"""Customer-base models on their own, for any table of customers, as in lifetimes.

    frequency, recency, T (monetary) per customer -> fit -> P(alive), purchases to come, value

=================  ==========================================================
``purchases``      ``BetaGeo``, ``ModifiedBetaGeo``, ``ParetoNBD``
``purchase_model`` what these three share: fit and predictions
``purchase_log``   from a log of purchases to a table of customers
``spend``          ``GammaGamma``: money per purchase, customer lifetime value
``inputs``         reading of tables, spans and units of time
``fitted``         what the models share: summary, log-likelihood, JSON files
``uncertainty``    standard errors of the parameters
``tracking``       cumulative and incremental repeat purchases, expected and actual
=================  ==========================================================

Fits and formulas are those of :mod:`stagecast.training.learners.btyd`; this room gives them the
interface of scikit-learn and lifetimes. A training does not use it, and no bundle holds it.
"""

from stagecast.training.customer_base.purchase_log import purchase_summary
from stagecast.training.customer_base.purchases import BetaGeo, ModifiedBetaGeo, ParetoNBD
from stagecast.training.customer_base.spend import GammaGamma
from stagecast.training.customer_base.tracking import tracking_table

__all__ = [
    "BetaGeo",
    "GammaGamma",
    "ModifiedBetaGeo",
    "ParetoNBD",
    "purchase_summary",
    "tracking_table",
]
