"""Customer-base models ("buy till you die"): number and value of the future purchases of customers.

    (x, t_x, T) per customer -> fit -> Model -> p_alive, p_none, expected_orders
    (x, monetary) per repeater -> fit_gamma_gamma -> GammaGamma -> expected_spend

=================  =================================================================
``closed_forms``   ``Model``: predictions of a fitted model, JSON
``histories``      checks of input
``betageometric``  formulas of BG/NBD and MBG/NBD
``regular``        formulas of MBG/CNBD-k, MBG/NBD with regular gaps
``dated``          ``DatedModel``: MBG/CNBD-k whose payments come on dates of their own
``renewals``       expected orders of MBG/CNBD-k
``regular_pareto`` formulas of Pareto/CNBD-k, Pareto/NBD with regular gaps
``paretonbd``      formulas of Pareto/NBD
``gammagamma``     ``GammaGamma``: spend per purchase
``stored``         strict reading of stored parameters
``fit``            fitting; needs lifetimes, so only training code imports it
``slopes``         log-likelihoods with their slopes, for fits
``climb``          the optimiser of the likelihood
``distinct``       grouping of equal histories
=================  =================================================================

Times are in days everywhere. A new model is a module of four functions (``log_odds_dead``,
``log_likelihood``, ``none_if_active``, ``orders_if_active``), a row in
``closed_forms.PARAMETERS``, its slopes in ``slopes``, and a fitter's name in ``fit``.
"""

from stagecast.training.learners.btyd.closed_forms import PARAMETERS, Model
from stagecast.training.learners.btyd.gammagamma import GammaGamma

__all__ = ["PARAMETERS", "GammaGamma", "Model"]
