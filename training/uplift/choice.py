"""Which ranking the plan uses: the caller's (such as risk x value), response, or uplift.

All are judged on the same customers, by models that did not learn from them, in money: the net gain
per customer of the list, at a depth or by the rule *contact whom it pays to contact*. A more
complicated ranking has to be better than the simpler one by more than one standard error of their
difference, which is paired; and the one chosen must beat as many contacts drawn at random.

Source: Breiman, Friedman, Olshen and Stone (1984), "Classification and regression trees", section
3.4.3, for the rule of one standard error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.training.uplift.calibration import calibrate
from stagecast.training.uplift.curves import qini, share_contacted
from stagecast.training.uplift.estimate import Estimate, mean_estimate
from stagecast.training.uplift.folds import FOLDS, folds_of
from stagecast.training.uplift.learners import fit_uplift, out_of_fold
from stagecast.training.uplift.model import RESPONSE, UPLIFT, UpliftModel
from stagecast.training.uplift.outcomes import cross_fit, refuse_too_few
from stagecast.training.uplift.policy import net_effect
from stagecast.training.uplift.pseudo_outcomes import effect_values
from stagecast.training.uplift.randomisation import check_random, require_random
from stagecast.training.uplift.rules import Line, worth_contacting
from stagecast.training.uplift.trial import Trial

RANDOM = "random"
FEWEST_OUTCOMES = 50
"""Outcomes other than 0 in both arms together, below which no ranking is told from another."""
ONE_SIDED_95 = 1.645


@dataclass(frozen=True)
class Judged:
    """A ranking on customers that it did not learn from; money is per customer of the list.

    Parameters
    ----------
    name, group
        The ranking, and what it is: ``ranking`` (the caller's), ``response`` or ``uplift``.
    contacted
        Share of the list that its rule contacts.
    gain
        Net gain over contacting nobody.
    over_random
        Net gain over as many contacts drawn at random.
    qini
        In the unit of the outcome; see :mod:`.curves`.
    """

    name: str
    group: str
    contacted: float
    gain: Estimate
    over_random: Estimate
    qini: Estimate


@dataclass(frozen=True)
class Choice:
    """The ranking to use, and why.

    Parameters
    ----------
    name
        Of the ranking: a name that the caller passed, ``response``, a learner of effects, or
        ``random`` where no ranking is better.
    group
        ``ranking``, ``response``, ``uplift`` or ``random``.
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
    if choice.group not in (RESPONSE, "uplift"):
        return None
    return replace(fit_uplift(trial, choice.name, seed=seed), line=choice.line)


def _check_arguments(trial: Trial, own: Mapping[str, Array], depth: float | None) -> None:
    for name, score in own.items():
        if name in (RESPONSE, RANDOM, *UPLIFT):
            raise UsageError(f"a ranking is named '{name}', as a learner is; give another name")
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
        return "ranking"
    return RESPONSE if name == RESPONSE else "uplift"


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
        is_effect = _group(name, own) == "uplift"
        if depth is None:
            effect = _effects(trial, g, score, is_effect, folds, seed)
            p = worth_contacting(effect, margin, cost).astype(np.float64)
        else:
            p = share_contacted(score, depth)
        rules[name] = p
        judged.append(
            Judged(
                name,
                _group(name, own),
                float(p.mean()),
                mean_estimate(p * net, trial.customer),
                mean_estimate((p - p.mean()) * net, trial.customer),
                qini(g, score, trial.customer),
            )
        )
    name, steps = _climb(trial, judged, rules, net)
    choice = next(j for j in judged if j.name == name)
    line = calibrate(g, scores[name], trial.customer, is_effect=choice.group == "uplift")
    where = "by the rule margin x effect > cost" if depth is None else f"at depth {depth:.0%}"
    over = choice.over_random
    if over.value <= ONE_SIDED_95 * over.standard_error:
        reason = (
            f"No ranking is better than a draw at random {where}: by one standard error it would "
            f"be '{name}', which brings {over.value:+.4g} (standard error "
            f"{over.standard_error:.2g}) per customer more than as many random contacts."
        )
        return Choice(RANDOM, RANDOM, reason, True, tuple(judged), None)
    reason = (
        f"'{name}' is used: {where} it brings {over.value:.4g} (standard error "
        f"{over.standard_error:.2g}) per customer more than as many random contacts. {steps}"
    )
    return Choice(name, choice.group, reason.strip(), True, tuple(judged), line)


def _effects(trial: Trial, g: Array, score: Array, is_effect: bool, folds: int, seed: int) -> Array:
    """Return the effect of each row by a line that was drawn without its fold, shape (n,)."""
    fold = folds_of(trial, folds, seed)
    effect = np.empty(len(trial))
    for k in range(folds):
        rows = fold != k
        line = calibrate(g[rows], score[rows], trial.customer[rows], is_effect=is_effect)
        effect[~rows] = line.effect(score[~rows])
    return effect


def _climb(
    trial: Trial, judged: Sequence[Judged], rules: Mapping[str, Array], net: Array
) -> tuple[str, str]:
    """Return the name of the ranking by the rule of one standard error, and the steps in words."""
    current, steps = "", []
    for group in ("ranking", RESPONSE, "uplift"):
        members = [j for j in judged if j.group == group]
        if not members:
            continue
        best = max(members, key=lambda j: j.gain.value).name
        if not current:
            current = best
            continue
        more = mean_estimate((rules[best] - rules[current]) * net, trial.customer)
        clear = more.value > more.standard_error
        steps.append(
            f"'{best}' brings {more.value:+.4g} (standard error {more.standard_error:.2g}) "
            f"compared with '{current}', which is {'' if clear else 'not '}more than one standard "
            "error."
        )
        current = best if clear else current
    return current, " ".join(steps)
