"""One number per customer whose mean over any group is the effect of a contact on the group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.uplift.trial import Trial


@dataclass(frozen=True)
class Outcomes:
    """Expected outcome of each row, learned without the row: left alone, and contacted.

    Both have shape (n,) and the unit of the outcome.
    """

    alone: Array
    contacted: Array

    @property
    def effect(self) -> Array:
        """Difference of the two, shape (n,)."""
        return self.contacted - self.alone

    def mixed(self, propensity: Array) -> Array:
        """Return the expected outcome before it is known who is contacted, shape (n,)."""
        return self.alone + propensity * self.effect


def no_outcomes(trial: Trial) -> Outcomes:
    """Return expectations of 0, with which doubly robust is the same as inverse propensity."""
    return Outcomes(np.zeros(len(trial)), np.zeros(len(trial)))


def arm_values(trial: Trial, outcomes: Outcomes | None = None) -> tuple[Array, Array]:
    """Return unbiased outcomes of each row if left alone and if contacted, two of shape (n,).

    ``g_a = m_a(x) + 1(w = a) / P(w = a) (y - m_a(x))``, whatever ``m_a`` is, as long as the row did
    not take part in learning it; with ``m_a = 0`` it is the outcome over its propensity.

    Parameters
    ----------
    trial
        The contacts.
    outcomes
        The expected outcomes ``m_0`` and ``m_1``; None for inverse propensity alone.

    Source: Horvitz and Thompson (1952); Robins, Rotnitzky and Zhao (1994), equation 3.
    """
    m = no_outcomes(trial) if outcomes is None else outcomes
    w, e = trial.contacted, trial.propensity
    alone = m.alone + ~w / (1 - e) * (trial.y - m.alone)
    contacted = m.contacted + w / e * (trial.y - m.contacted)
    return alone, contacted


def effect_values(trial: Trial, outcomes: Outcomes | None = None) -> Array:
    """Return an unbiased effect of the contact on each row, shape (n,): see :func:`arm_values`.

    >>> from stagecast.training.uplift.trial import make_trial
    >>> effect_values(make_trial([[0.0]] * 2, ["x"], [1, 0], 0.5, [3.0, 1.0])).tolist()
    [6.0, -2.0]
    """
    alone, contacted = arm_values(trial, outcomes)
    return contacted - alone
