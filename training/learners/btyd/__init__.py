"""Customer-base models, "buy till you die": how often a customer will buy again, and for how much.

    (x, t_x, T) per customer -> fit -> Model -> p_alive, p_none, expected_orders
    (x, monetary) per repeater -> fit_gamma_gamma -> GammaGamma -> expected_spend

===================================  ===============================================================
:mod:`~stagecast.training.learners.btyd.closed_forms`   ``Model``: what a fitted model says; checks,
JSON :mod:`~stagecast.training.learners.btyd.betageometric`  the mathematics of BG/NBD and MBG/NBD
:mod:`~stagecast.training.learners.btyd.paretonbd`      the mathematics of Pareto/NBD
:mod:`~stagecast.training.learners.btyd.gammagamma`     ``GammaGamma``: spend per purchase
:mod:`~stagecast.training.learners.btyd.stored`         strict reading of stored parameters
:mod:`~stagecast.training.learners.btyd.fit`            fitting; needs lifetimes, so it is imported
by training code only
===================================  ===============================================================

Times are in days everywhere. What you may change where: a new model is its own module of four
functions (``log_odds_dead``, ``log_likelihood``, ``none_if_active``, ``orders_if_active``), a row
in ``closed_forms.PARAMETERS``, and a fitter's name in ``fit``.
"""

from stagecast.training.learners.btyd.closed_forms import PARAMETERS, Model
from stagecast.training.learners.btyd.gammagamma import GammaGamma

__all__ = ["PARAMETERS", "GammaGamma", "Model"]
