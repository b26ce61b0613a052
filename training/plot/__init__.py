"""Charts for notebooks: arrays, frames or fitted models in, Altair charts out.

===================== ========================================================
``alive_matrix``      P(still a customer) by frequency and recency
``frequency_recency`` expected purchases by frequency and recency
``customer``          one customer's purchases, and P(still a customer) over time
``tracking``          repeat purchases over time, expected and actual
``holdout``           purchases of a hold-out by frequency before, expected and actual
``calibration``       predicted probabilities against what happened
``stages``            customers by stage over time
``flows``             where customers of each stage went
``cohorts``           share of each cohort that bought, by age
===================== ========================================================

A chart shows itself at the end of a notebook cell and is saved by ``chart.save("chart.html")`` or
``.png``. Colours can be told apart by colour-blind readers (viridis; Okabe and Ito 2008), and
series also by their marks. Each chart carries its data, at most a few thousand rows.
"""

from stagecast.training.plot.customer_base import alive_matrix, frequency_recency
from stagecast.training.plot.history import customer
from stagecast.training.plot.lifecycle import cohorts, flows, stages
from stagecast.training.plot.probabilities import calibration
from stagecast.training.plot.purchases import holdout, tracking

__all__ = [
    "alive_matrix",
    "calibration",
    "cohorts",
    "customer",
    "flows",
    "frequency_recency",
    "holdout",
    "stages",
    "tracking",
]
