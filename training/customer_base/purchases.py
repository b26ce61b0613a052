"""``BetaGeo``, ``ModifiedBetaGeo`` and ``ParetoNBD``: how often customers buy, and until when."""

from __future__ import annotations

from typing import Any

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import UsageError
from stagecast.training.customer_base.purchase_log import gaps_of
from stagecast.training.customer_base.purchase_model import PurchaseModel
from stagecast.training.learners.btyd.closed_forms import Model
from stagecast.training.learners.btyd.fit import fit as fit_model
from stagecast.training.learners.btyd.rhythm import choose_regularity


class BetaGeo(PurchaseModel):
    """BG/NBD: customers buy at a rate of their own, and may leave after each repeat purchase.

    Rates are Gamma(r, alpha) over customers, and the probability to leave after a repeat purchase
    is Beta(a, b). A customer without a repeat purchase has had no occasion to leave, so that
    :meth:`p_alive` is 1; :class:`ModifiedBetaGeo` does not have this fault. Parameters and
    attributes are those of :class:`ModifiedBetaGeo`, without ``regularity``.

    References
    ----------
    Fader, Hardie and Lee (2005), "'Counting Your Customers' the Easy Way: An Alternative to the
    Pareto/NBD Model", Marketing Science 24(2).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> random = np.random.default_rng(1)
    >>> T = random.uniform(100, 400, 300)
    >>> frequency = random.poisson(T * random.gamma(0.6, 1 / 40, 300))
    >>> recency = np.where(frequency > 0, T * random.random(300) ** 0.3, 0.0)
    >>> X = pd.DataFrame({"frequency": frequency, "recency": recency, "T": T})
    >>> model = BetaGeo().fit(X)
    >>> list(model.summary.index), model.p_alive(X).between(0, 1).all()
    (['r', 'alpha', 'a', 'b'], np.True_)
    >>> bool((model.expected_purchases(X, "60d") >= model.expected_purchases(X, 30)).all())
    True
    """

    _name = "bg_nbd"


class ModifiedBetaGeo(PurchaseModel):
    """MBG/NBD: as BG/NBD, but customers may leave after the first purchase, too.

    With regular gaps it is MBG/CNBD-k: gaps are Erlang(k) instead of exponential.

    Parameters
    ----------
    time_unit : str
        Unit of ``recency``, ``T`` and of ``params_``: ``day``, ``week``, ``hour``, or a span such
        as ``30d``.
    covariance : {"hessian", "sandwich"}
        Standard errors by the observed information, or those that hold where the model does not
        (White 1982).
    regularity : int or "auto"
        Phases k of a gap; 1 is random gaps. ``"auto"`` chooses it by the gaps, for which X must
        have the columns ``log_gaps`` and ``digamma_gaps`` of
        :func:`stagecast.training.customer_base.purchase_log.purchase_summary`.

    Attributes
    ----------
    params_ : pandas.Series
        The parameters; those that are times are in ``time_unit``.
    summary : pandas.DataFrame
        Estimate, standard error and 95 % interval of each parameter.
    covariance_ : pandas.DataFrame
        Covariance matrix of the parameters.
    log_likelihood_ : float
        Without the constants that no parameter enters; of times in ``time_unit``. With a
        regularity above 1, also without the term of the single gaps.
    regularity_ : int
        The regularity k of the fit.
    n_customers_ : int
        Customers of the fit.

    References
    ----------
    Batislam, Denizel and Filiztekin (2007), "Empirical validation and comparison of models for
    customer base analysis", IJRM 24(3). Reutterer, Platzer and Schroeder (2021), "Leveraging
    purchase regularity for predicting customer behavior the easy way", IJRM 38(1).
    """

    _name = "mbg_nbd"

    def __init__(
        self,
        *,
        time_unit: str = "day",
        covariance: str = "hessian",
        regularity: int | str = 1,
    ) -> None:
        super().__init__(time_unit=time_unit, covariance=covariance)
        self.regularity = regularity

    @property
    def regularity_(self) -> int:
        """Phases of a gap in the fitted model."""
        self._check_fitted()
        return self.model_.regularity

    def _fit(self, X: Any, rows: Integers, x: Array, t_x: Array, T: Array, weight: Array) -> Model:
        k = self.regularity
        if k == "auto":
            gaps = gaps_of(X).of_rows(rows)
            random = fit_model(self._name, x, t_x, T, weight)
            chosen = choose_regularity(random, x, t_x, T, gaps)
            if chosen.regularity == 1:
                return random
            return fit_model(self._name, x, t_x, T, weight, chosen, chosen.regularity)
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= 100:
            raise UsageError(f"regularity is {k!r}; use a whole number from 1 to 100, or 'auto'")
        return fit_model(self._name, x, t_x, T, weight, regularity=int(k))


class ParetoNBD(PurchaseModel):
    """Pareto/NBD: customers buy at a rate of their own, and leave at a time of their own.

    Rates are Gamma(r, alpha) over customers; lifetimes are exponential with rates that are
    Gamma(s, beta). alpha and beta are times. Parameters and attributes are those of
    :class:`ModifiedBetaGeo`, without ``regularity``.

    References
    ----------
    Schmittlein, Morrison and Colombo (1987), "Counting Your Customers: Who Are They and What Will
    They Do Next?", Management Science 33(1).
    """

    _name = "pareto_nbd"
