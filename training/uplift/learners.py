"""The learners: S, T, X, R, DR, linear, and the response model that they have to beat.

All are LightGBM on the same few settings of :mod:`stagecast.training.learners.boosting`, with large
leaves, since an effect is smaller than the noise of its outcome. Propensities are known, not
estimated.

    S     one model of the outcome, in which the contact is a column
    T     one model for each arm                    effect = m_1(x) - m_0(x)
    X     effects imputed in each arm, m_1(x) - y and y - m_0(x), learned, and mixed by propensity
    R     minimises the mean of ((y - m(x)) - (w - e) effect(x))^2
    DR    learns the unbiased effects of :mod:`.pseudo_outcomes`
    linear    see :mod:`.linear`
    response  m_1(x): who has the outcome after a contact, whether due to it or not

Source: Kuenzel, Sekhon, Bickel and Yu (2019), "Metalearners for estimating heterogeneous treatment
effects using machine learning" (S, T, X); Nie and Wager (2021), equation 4 (R); Kennedy (2023),
"Towards optimal doubly robust estimation of heterogeneous causal effects", algorithm 1 (DR).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.boosting import fit
from stagecast.training.uplift.folds import FOLDS, folds_of
from stagecast.training.uplift.linear import fit_interaction
from stagecast.training.uplift.model import (
    CONTACT,
    FORMULAS,
    RESPONSE,
    Interaction,
    UpliftModel,
    named_columns,
)
from stagecast.training.uplift.outcomes import cross_fit, fit_outcome, leaf_rows, refuse_too_few
from stagecast.training.uplift.pseudo_outcomes import Outcomes, effect_values
from stagecast.training.uplift.trial import Trial

EFFECT_TREES = 120
EFFECT_LEAVES = 4
EVENTS_OF_EFFECT_LEAF = 50
"""More than for an outcome: the noise of a difference is that of both arms."""


def fit_uplift(
    trial: Trial, kind: str, outcomes: Outcomes | None = None, *, seed: int = 0
) -> UpliftModel:
    """Fit one learner on all rows of a trial.

    Parameters
    ----------
    trial
        The contacts.
    kind
        A name of ``FORMULAS``: ``S``, ``T``, ``X``, ``R``, ``DR``, ``linear`` or ``response``.
    outcomes
        What :func:`.outcomes.cross_fit` returns for this trial; computed where it is needed and
        not passed.
    seed
        Of the folds and of LightGBM; the same seed gives the same model on any machine.

    Raises
    ------
    UsageError
        There is no such learner.
    NotEnoughDataError
        An arm has too few rows, or all outcomes are equal.
    """
    if kind not in _FITS:
        raise UsageError(
            f"there is no learner '{kind}'.{did_you_mean(kind, FORMULAS)} Take one of "
            f"{', '.join(FORMULAS)}"
        )
    refuse_too_few(trial)
    needs = kind in ("X", "R", "DR", "linear")
    m = cross_fit(trial, seed=seed) if outcomes is None and needs else outcomes
    trees, interaction = _FITS[kind](trial, m, seed)
    return UpliftModel(kind, trial.names, trial.binary, trial.share, trees, interaction)


def out_of_fold(
    trial: Trial,
    kinds: Sequence[str] = tuple(FORMULAS),
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> dict[str, Array]:
    """Return the score of each row, shape (n,), by each learner without the row's fold.

    Parameters as for :func:`fit_uplift`; ``folds`` is the number of folds by customer. What the
    learners need of expected outcomes is cross-fitted anew within the other folds.
    """
    fold = folds_of(trial, folds, seed)
    scores = {kind: np.empty(len(trial)) for kind in kinds}
    for k in range(folds):
        part = trial.take(fold != k)
        outcomes = cross_fit(part, seed=seed)
        for kind in kinds:
            model = fit_uplift(part, kind, outcomes, seed=seed)
            scores[kind][fold == k] = model.score(trial.X[fold == k])
    return scores


Fitted = tuple[Mapping[str, Boosted], Interaction | None]


def _single(trial: Trial, outcomes: Outcomes | None, seed: int) -> Fitted:
    contact = {CONTACT: trial.contacted.astype(np.float64)}
    return {"joint": fit_outcome(trial.X, trial.y, trial.binary, seed, **contact)}, None


def _arm(trial: Trial, arm: bool, seed: int) -> Boosted:
    rows = trial.contacted == arm
    return fit_outcome(trial.X[rows], trial.y[rows], trial.binary, seed)


def _response(trial: Trial, outcomes: Outcomes | None, seed: int) -> Fitted:
    return {"contacted": _arm(trial, True, seed)}, None


def _two(trial: Trial, outcomes: Outcomes | None, seed: int) -> Fitted:
    return {"alone": _arm(trial, False, seed), "contacted": _arm(trial, True, seed)}, None


def _crossed(trial: Trial, outcomes: Outcomes | None, seed: int) -> Fitted:
    m = _needed(outcomes)
    imputed = np.where(trial.contacted, trial.y - m.alone, m.contacted - trial.y)
    return {
        name: _effect(trial.take(trial.contacted == arm), imputed[trial.contacted == arm], seed)
        for name, arm in (("effect_alone", False), ("effect_contacted", True))
    }, None


def _residual(trial: Trial, outcomes: Outcomes | None, seed: int) -> Fitted:
    surprise = trial.contacted - trial.propensity
    target = (trial.y - _needed(outcomes).mixed(trial.propensity)) / surprise
    return {"effect": _effect(trial, target, seed, surprise**2)}, None


def _doubly_robust(trial: Trial, outcomes: Outcomes | None, seed: int) -> Fitted:
    return {"effect": _effect(trial, effect_values(trial, _needed(outcomes)), seed)}, None


def _linear(trial: Trial, outcomes: Outcomes | None, seed: int) -> Fitted:
    trees = {"base": fit_outcome(trial.X, trial.y, True, seed)} if trial.binary else {}
    return trees, fit_interaction(trial, _needed(outcomes).mixed(trial.propensity))


def _effect(trial: Trial, target: Array, seed: int, weight: Array | None = None) -> Boosted:
    columns = named_columns(trial.X)
    return fit(
        columns,
        list(columns),
        target,
        np.ones(len(target)) if weight is None else weight / weight.mean(),
        "regression",
        trees=EFFECT_TREES,
        seed=seed,
        num_leaves=EFFECT_LEAVES,
        min_data_in_leaf=leaf_rows(trial.y, 1 / 40, EVENTS_OF_EFFECT_LEAF),
    )


def _needed(outcomes: Outcomes | None) -> Outcomes:
    if outcomes is None:
        raise UsageError("this learner needs the expected outcomes of `cross_fit`; pass them")
    return outcomes


_FITS: Mapping[str, Callable[[Trial, Outcomes | None, int], Fitted]] = {
    RESPONSE: _response,
    "S": _single,
    "T": _two,
    "X": _crossed,
    "R": _residual,
    "DR": _doubly_robust,
    "linear": _linear,
}
