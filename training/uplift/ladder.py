"""From what is known without a ranking, up to the ranking that is worth its complication.

At a depth, nobody knows whom to contact: the start is a draw at random. By the rule *contact whom
it pays to contact* there are two starts, nobody and everybody; everybody is the start where that
pays by over one standard error. A ranking is eligible where it is better than every start: than a
draw at random by a one-sided test of 95 %, than nobody and everybody by over one standard error
each. From the start the climb goes over the caller's rankings, response and the learners of
effects: the best eligible of each group replaces what is simpler where it brings more by over one
standard error of their difference, which is paired.

Source: Breiman, Friedman, Olshen and Stone (1984), "Classification and regression trees", section
3.4.3, for the rule of one standard error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagecast.features.arrays import Array, Integers
from stagecast.training.uplift.estimate import Estimate, mean_estimate
from stagecast.training.uplift.model import RESPONSE

RANDOM, NOBODY, EVERYBODY = "random", "nobody", "everybody"
RANKING, UPLIFT_GROUP = "ranking", "uplift"
GROUPS = (RANKING, RESPONSE, UPLIFT_GROUP)
"""Groups of rankings, the simplest first."""
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
    over_everybody
        Net gain over contacting everybody.
    qini
        In the unit of the outcome; see :mod:`.curves`.
    """

    name: str
    group: str
    contacted: float
    gain: Estimate
    over_random: Estimate
    over_everybody: Estimate
    qini: Estimate


@dataclass(frozen=True)
class Rung:
    """Where the climb ends.

    Parameters
    ----------
    name
        A ranking, or ``random``, ``nobody`` or ``everybody``.
    steps
        The comparisons between rankings in words; empty where there was none.
    everybody
        Net gain of contacting everybody over contacting nobody, per customer.
    """

    name: str
    steps: str
    everybody: Estimate


def judge(
    name: str, group: str, p: Array, net: Array, area: Estimate, customer: Integers
) -> Judged:
    """Return what the rule of a ranking brings.

    Parameters
    ----------
    name, group
        As in :class:`Judged`.
    p
        Probability with which the rule contacts each row, shape (n,).
    net
        Unbiased net gain of contacting each row, shape (n,), in money.
    area
        The Qini of the ranking.
    customer
        Customer of each row, shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> net = np.array([2.0, -1.0])
    >>> area = Estimate(0.0, 1.0)
    >>> judged = judge("T", "uplift", np.array([1.0, 0.0]), net, area, np.arange(2))
    >>> judged.gain.value, judged.over_random.value, judged.over_everybody.value
    (1.0, 0.75, 0.5)
    """
    return Judged(
        name,
        group,
        float(p.mean()),
        mean_estimate(p * net, customer),
        mean_estimate((p - p.mean()) * net, customer),
        mean_estimate((p - 1) * net, customer),
        area,
    )


def climb(
    judged: Sequence[Judged],
    rules: Mapping[str, Array],
    net: Array,
    customer: Integers,
    *,
    at_depth: bool,
) -> Rung:
    """Return the ranking to use, or the start where no ranking is clearly better.

    Parameters
    ----------
    judged
        The rankings, of :func:`judge`.
    rules
        Probability of a contact by name of the ranking, each of shape (n,).
    net
        Unbiased net gain of contacting each row, shape (n,), in money.
    customer
        Customer of each row, shape (n,).
    at_depth
        Whether a share of the list is contacted, whatever it brings; the start is then ``random``,
        else ``nobody`` or ``everybody``.
    """
    everybody = mean_estimate(net, customer)
    current = RANDOM if at_depth else EVERYBODY if _clear(everybody) else NOBODY
    steps = []
    for group in GROUPS:
        members = [j for j in judged if j.group == group and _eligible(j, at_depth)]
        if not members:
            continue
        best = max(members, key=lambda j: j.gain.value).name
        if current in (RANDOM, NOBODY, EVERYBODY):
            current = best
            continue
        more = mean_estimate((rules[best] - rules[current]) * net, customer)
        clear = _clear(more)
        steps.append(
            f"'{best}' brings {in_words(more)} compared with '{current}', which is "
            f"{'' if clear else 'not '}more than one standard error."
        )
        current = best if clear else current
    return Rung(current, " ".join(steps), everybody)


def nearest(judged: Sequence[Judged], *, at_depth: bool) -> Judged | None:
    """Return the ranking that is nearest to being clearly better than every start."""
    return max(judged, key=lambda j: min(map(_z, _over_starts(j, at_depth))), default=None)


def in_words(estimate: Estimate) -> str:
    """Return a figure with its sign and its standard error.

    >>> in_words(Estimate(0.5, 0.25))
    '+0.5 (standard error 0.25)'
    """
    return f"{estimate.value:+.4g} (standard error {estimate.standard_error:.2g})"


def _over_starts(judged: Judged, at_depth: bool) -> tuple[Estimate, ...]:
    return (judged.over_random,) if at_depth else (judged.gain, judged.over_everybody)


def _eligible(judged: Judged, at_depth: bool) -> bool:
    errors = ONE_SIDED_95 if at_depth else 1.0
    return all(_clear(over, errors) for over in _over_starts(judged, at_depth))


def _clear(more: Estimate, errors: float = 1.0) -> bool:
    return more.value > errors * more.standard_error


def _z(estimate: Estimate) -> float:
    # the difference of a rule from itself is 0 without an error
    return estimate.value / estimate.standard_error if estimate.standard_error > 0 else 0.0
