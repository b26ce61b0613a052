"""Which ranking the plan uses: the caller's (such as risk x value), response, or uplift.

All are judged on the same customers, by models that did not learn from them, in money: the net gain
per customer of the list, at a depth or by the rule *contact whom it pays to contact*. Which of them
is used, or none, is decided by :func:`.ladder.climb`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.training.uplift.calibration import calibrate
from stagecast.training.uplift.curves import qini, share_contacted
from stagecast.training.uplift.folds import FOLDS, folds_of
from stagecast.training.uplift.ladder import (
    EVERYBODY,
    NOBODY,
    RANDOM,
    RANKING,
    UPLIFT_GROUP,
    Judged,
    Rung,
    climb,
    in_words,
    judge,
    nearest,
)
from stagecast.training.uplift.learners import fit_uplift, out_of_fold
from stagecast.training.uplift.model import RESPONSE, UPLIFT, UpliftModel
from stagecast.training.uplift.outcomes import cross_fit, refuse_too_few
from stagecast.training.uplift.policy import net_effect
from stagecast.training.uplift.pseudo_outcomes import effect_values
from stagecast.training.uplift.randomisation import check_random, require_random
from stagecast.training.uplift.rules import Line, worth_contacting
from stagecast.training.uplift.trial import Trial

FEWEST_OUTCOMES = 50
"""Outcomes other than 0 in both arms together, below which no ranking is told from another."""


@dataclass(frozen=True)
class Choice:
    """The ranking to use, and why.

    Parameters
    ----------
    name
        Of the ranking: a name that the caller passed, ``response``, or a learner of effects. Where
        no ranking is clearly better: ``random`` at a depth, and by the rule ``everybody`` where it
        pays to contact all, else ``nobody``.
    group
        ``ranking``, ``response``, ``uplift``, ``random``, ``everybody`` or ``nobody``.
    reason
        Why, in words.
    enough
        False where the contacts are too few to tell the rankings apart.
    judged
        Each ranking as it was judged; empty without enough contacts.
    line
        From the score of the chosen ranking to the effect of a contact; None without one.
    """

    name: str
    group: str
    reason: str
    enough: bool
    judged: tuple[Judged, ...]
    line: Line | None


def choose_ranking(
    trial: Trial,
    rankings: Mapping[str, Array] | None = None,
    *,
    depth: float | None = None,
    margin: float = 1.0,
    cost: float = 0.0,
    learners: Sequence[str] = UPLIFT,
    folds: int = FOLDS,
    seed: int = 0,
    even_if_not_random: bool = False,
) -> Choice:
    """Compare rankings on the contacts of a trial and choose one.

    Parameters
    ----------
    trial
        Contacts drawn at random, and what came after.
    rankings
        The caller's scores by name, the highest first, each of shape (n,), made without the
        outcomes of the trial: risk x value, for instance. The first is the fallback where the
        contacts are too few.
    depth
        Share of the list that the budget allows; None for the rule ``margin x effect > cost``.
    margin, cost
        What one unit of the outcome brings, and what one contact costs.
    learners
        Learners of effects to compare; names of ``UPLIFT``.
    folds, seed
        Of the cross-fitting.
    even_if_not_random
        Skip the check of :mod:`.randomisation`.

    Returns
    -------
    Choice
        With ``enough`` False, and the first of the rankings, where an arm has fewer than 50
        customers or both have fewer than 50 outcomes.

    Raises
    ------
    UsageError
        A ranking has the wrong shape or the name of a learner, or the depth is not above 0 and
        below 1.
    DataRefusedError
        The contacts do not look as if they had been drawn at random.
    """
    own = dict(rankings or {})
    _check_arguments(trial, own, depth)
    try:
        refuse_too_few(trial)
        if (outcomes := int((trial.y != 0).sum())) < FEWEST_OUTCOMES:
            raise NotEnoughDataError(f"there are only {outcomes} outcomes after {len(trial)} rows")
    except NotEnoughDataError as error:
        return _too_few(own, str(error))
    require_random(check_random(trial, folds=folds, seed=seed), even_if_not=even_if_not_random)
    scores = {**own, **out_of_fold(trial, (RESPONSE, *learners), folds=folds, seed=seed)}
    return _chosen(trial, own, scores, depth, margin, cost, folds, seed)


def fit_chosen(trial: Trial, choice: Choice, *, seed: int = 0) -> UpliftModel | None:
    """Fit the chosen learner on all rows, with its line; None where it is no learner.

    Parameters
    ----------
    trial
        The trial that the choice was made on.
    choice
        Of :func:`choose_ranking`.
    seed
        Of the folds and of LightGBM.
    """
    if choice.group not in (RESPONSE, UPLIFT_GROUP):
        return None
    return replace(fit_uplift(trial, choice.name, seed=seed), line=choice.line)


def _check_arguments(trial: Trial, own: Mapping[str, Array], depth: float | None) -> None:
    for name, score in own.items():
        if name in (RESPONSE, RANDOM, NOBODY, EVERYBODY, *UPLIFT):
            raise UsageError(f"a ranking is named '{name}', which is taken; give another name")
        if np.shape(score) != (len(trial),) or not np.isfinite(score).all():
            raise UsageError(
                f"the ranking '{name}' has the shape {np.shape(score)}; give a finite score for "
                f"each of the {len(trial)} rows"
            )
    if depth is not None and not 0 < depth < 1:
        raise UsageError(f"depth is {depth:g}; give a share above 0 and below 1, or None")


def _too_few(own: Mapping[str, Array], why: str) -> Choice:
    name = next(iter(own), RANDOM)
    group = "ranking" if own else RANDOM
    reason = f"Too few contacts to tell the rankings apart, so '{name}' is used: {why}."
    return Choice(name, group, reason, enough=False, judged=(), line=None)


def _group(name: str, own: Mapping[str, Array]) -> str:
    if name in own:
        return RANKING
    return RESPONSE if name == RESPONSE else UPLIFT_GROUP


def _chosen(
    trial: Trial,
    own: Mapping[str, Array],
    scores: Mapping[str, Array],
    depth: float | None,
    margin: float,
    cost: float,
    folds: int,
    seed: int,
) -> Choice:
    outcomes = cross_fit(trial, folds, seed)
    g, net = effect_values(trial, outcomes), net_effect(trial, outcomes, margin, cost)
    rules, judged = {}, []
    for name, score in scores.items():
        group = _group(name, own)
        if depth is None:
            effect = _effects(trial, g, score, group == UPLIFT_GROUP, folds, seed)
            p = worth_contacting(effect, margin, cost).astype(np.float64)
        else:
            p = share_contacted(score, depth)
        rules[name] = p
        area = qini(g, score, trial.customer)
        judged.append(judge(name, group, p, net, area, trial.customer))
    rung = climb(judged, rules, net, trial.customer, at_depth=depth is not None)
    choice = next((j for j in judged if j.name == rung.name), None)
    if choice is None:
        reason = _why_no_ranking(rung, nearest(judged, at_depth=depth is not None), depth)
        return Choice(rung.name, rung.name, reason, True, tuple(judged), None)
    is_effect = choice.group == UPLIFT_GROUP
    line = calibrate(g, scores[choice.name], trial.customer, is_effect=is_effect)
    reason = f"{_why(choice, depth)} {rung.steps}".strip()
    return Choice(choice.name, choice.group, reason, True, tuple(judged), line)


def _why(choice: Judged, depth: float | None) -> str:
    if depth is not None:
        return (
            f"'{choice.name}' is used: at depth {depth:.0%} it brings "
            f"{in_words(choice.over_random)} per customer more than as many random contacts."
        )
    return (
        f"'{choice.name}' is used: by the rule margin x effect > cost it contacts "
        f"{choice.contacted:.0%} of the customers and brings {in_words(choice.gain)} per customer "
        f"more than contacting nobody, and {in_words(choice.over_everybody)} more than contacting "
        "everybody."
    )


def _why_no_ranking(rung: Rung, best: Judged | None, depth: float | None) -> str:
    if depth is not None:
        over = "" if best is None else f": '{best.name}' brings {in_words(best.over_random)}"
        return (
            f"No ranking is better than a draw at random at depth {depth:.0%}{over} per customer "
            "more than as many random contacts."
        )
    over = (
        ""
        if best is None
        else f": '{best.name}' contacts {best.contacted:.0%}, which brings {in_words(best.gain)} "
        f"more than nobody and {in_words(best.over_everybody)} more than everybody"
    )
    return (
        f"Contact {rung.name}: to contact everybody brings {in_words(rung.everybody)} per customer "
        f"after its cost, and no ranking is clearly better{over}."
    )


def _effects(trial: Trial, g: Array, score: Array, is_effect: bool, folds: int, seed: int) -> Array:
    """Return the effect of each row by a line that was drawn without its fold, shape (n,)."""
    fold = folds_of(trial, folds, seed)
    effect = np.empty(len(trial))
    for k in range(folds):
        rows = fold != k
        line = calibrate(g[rows], score[rows], trial.customer[rows], is_effect=is_effect)
        effect[~rows] = line.effect(score[~rows])
    return effect
