"""Log-likelihood of each customer under any of the models, of parameters and histories that were
checked.

:meth:`stagecast.training.learners.btyd.closed_forms.Model.log_likelihood_of` checks both first; a
fit, which asks a thousand times about the same customers, does so once.
"""

from __future__ import annotations

from typing import Final

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import betageometric, paretonbd, regular, regular_pareto
from stagecast.training.learners.btyd.histories import as_floats

FIRST_COIN: Final = {"bg_nbd": 0, "mbg_nbd": 1}


def log_likelihood(
    name: str,
    params: tuple[float, float, float, float],
    regularity: int,
    x: Array,
    t_x: Array,
    T: Array,
) -> Array:
    """Return each customer's log-likelihood, without the constants that no parameter enters.

    Parameters
    ----------
    name, params, regularity
        As in :class:`stagecast.training.learners.btyd.closed_forms.Model`; not checked here. With a
        regularity above 1 the term of the single gaps is left out.
    x, t_x, T
        Repeat purchase days; days from first to last purchase; days from first purchase to now;
        shapes that broadcast. As :func:`~stagecast.training.learners.btyd.histories.
        checked_history` returns them.
    """
    if regularity > 1:
        formulas = regular_pareto if name == "pareto_nbd" else regular
        return as_floats(formulas.log_likelihood(params, regularity, x, t_x, T))
    if name == "pareto_nbd":
        return paretonbd.log_likelihood(params, x, t_x, T)
    return betageometric.log_likelihood(params, FIRST_COIN[name], x, t_x, T)
