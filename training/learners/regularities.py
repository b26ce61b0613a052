"""The customer base of a log in which some customers buy regularly and others at random.

One regularity of all would be wrong for either: for who has ordered every four weeks a silence of
three months is the end, for who orders in fits and starts it is nothing. So each customer is asked
of models of several regularities, weighted by how likely each makes the gaps and the silence:

    gaps of a customer -> P(k | gaps), k = 1, 2, 4, ... -> the group with about that k -> its models

Customers of about the same k make a group, whose weights are the mean of those of its customers.
So a group is a :class:`~stagecast.training.learners.customer_base.CustomerBase`, as a plan is. The
models of all customers keep a weight beside them: people change their habits, and these models let
one do so.

Source: Platzer and Reutterer (2016), "Ticking away the moments", Marketing Science 35(5), whose
Pareto/GGG has a regularity for each customer; here it is one of a few, so that all has closed forms
(Reutterer, Platzer and Schroeder 2021, see :mod:`stagecast.training.learners.btyd.regular`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.customer_base import HISTORY, CustomerBase, Part
from stagecast.training.learners.parted import PartedBase

GAP_LOGS: Final = "gap_logs"
"""Feature of the sum of the logs of a customer's gaps, in days; null without a gap."""


@dataclass(frozen=True)
class RegularityBase(PartedBase):
    """A customer base in which each customer has a regularity.

    Parameters
    ----------
    rhythms
        MBG/CNBD-k or Pareto/CNBD-k of each regularity, ascending.
    shares
        Share of the customers who buy with each; they sum to 1.
    groups
        Of each group, which has about the regularity of a rhythm, the weights of the rhythms, and
        then of the models of all customers; each sums to 1. Rhythms with a weight of 0 are not
        asked, equally many in each group.
    """

    rhythms: tuple[Model, ...] = ()
    shares: tuple[float, ...] = ()
    groups: tuple[tuple[float, ...], ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The feature that tells the regularity."""
        return (GAP_LOGS,)

    @property
    def is_regular(self) -> bool:
        """Whether a model has regular gaps: some have."""
        return True

    @property
    def regular_model(self) -> Model | None:
        """The model by whose regular gaps payments are told: none."""
        return None

    def group(self, features: Mapping[str, Array]) -> NDArray[np.int64]:
        """Return the number of each customer's group, shape (rows,).

        Parameters
        ----------
        features
            Values of :data:`HISTORY` and :data:`GAP_LOGS`, shape (rows,) each.
        """
        chances = regularity_chances(self.rhythms, self.shares, features)
        return group_of(chances)

    def parts(self, features: Mapping[str, Array]) -> list[Part]:
        """Return the rows of each group; all in one part where the features do not tell it."""
        if GAP_LOGS not in features or not len(features[GAP_LOGS]):
            return [Part(self.of_all, slice(None), features)]
        group = self.group(features)
        parts = []
        for k in np.unique(group):
            rows = np.flatnonzero(group == k)
            histories = {name: features[name][rows] for name in HISTORY}
            parts.append(Part(self._bases[k], rows, histories, int(k)))
        return parts

    @cached_property
    def _bases(self) -> tuple[CustomerBase, ...]:
        """The customer base of each group, the likeliest rhythm first."""
        models = (*self.rhythms, *self.models)
        bases = []
        for weights in self.groups:
            of_rhythms = np.array(weights[: len(self.rhythms)])
            likeliest = np.argsort(-of_rhythms, kind="stable")[: np.count_nonzero(of_rhythms)]
            order = [*likeliest.tolist(), *range(len(self.rhythms), len(models))]
            bases.append(
                CustomerBase(
                    tuple(models[k] for k in order), self.spend, tuple(weights[k] for k in order)
                )
            )
        return tuple(bases)

    def to_json(self) -> dict[str, Any]:
        """Return the models as JSON values."""
        return {
            **super().to_json(),
            "rhythms": [model.to_json() for model in self.rhythms],
            "shares": list(self.shares),
            "groups": [list(weights) for weights in self.groups],
        }

    @classmethod
    def with_groups(cls, base: CustomerBase, stored: Mapping[str, Any]) -> Self:
        """Return a customer base with the groups of JSON values of :meth:`to_json`.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``stored`` does not have that form.
        """
        rhythms = tuple(Model.from_json(model) for model in stored["rhythms"])
        shares = tuple(float(share) for share in stored["shares"])
        groups = tuple(tuple(float(w) for w in weights) for weights in stored["groups"])
        models = len(rhythms) + len(base.models)
        if not len(rhythms) == len(shares) == len(groups) or any(len(w) != models for w in groups):
            raise ValueError("rhythms, shares and groups of regularities differ in number")
        if len({sum(weight > 0 for weight in w[: len(rhythms)]) for w in groups}) != 1:
            raise ValueError("groups of regularities are asked of different numbers of rhythms")
        return cls(
            base.models,
            base.spend,
            base.weights,
            rhythms=rhythms,
            shares=shares,
            groups=groups,
        )


def regularity_chances(
    rhythms: tuple[Model, ...], shares: tuple[float, ...], features: Mapping[str, Array]
) -> Array:
    """Return P(k | gaps and silence) of each regularity, shape (rhythms, rows).

    Parameters
    ----------
    rhythms, shares
        As in :class:`RegularityBase`.
    features
        Values of :data:`HISTORY` and :data:`GAP_LOGS`, shape (rows,) each.
    """
    x, t_x, T = (features[name] for name in HISTORY)
    log_gaps = np.nan_to_num(features[GAP_LOGS])
    logs = np.array(
        [
            np.log(max(share, 1e-12)) + model.log_likelihood_of(x, t_x, T, log_gaps)
            for model, share in zip(rhythms, shares, strict=True)
        ]
    )
    return np.asarray(np.exp(logs - logsumexp(logs, axis=0)))


def group_of(chances: Array) -> NDArray[np.int64]:
    """Return the number of the rhythm nearest to the mean, by P of each, shape (rows,).

    >>> group_of(np.array([[1.0, 0.3, 0.1], [0.0, 0.4, 0.1], [0.0, 0.3, 0.8]])).tolist()
    [0, 1, 2]
    """
    number = np.arange(len(chances), dtype=np.float64)[:, None]
    # added up one after the other, so that the last bits do not depend on the number of rows
    mean = np.zeros(chances.shape[1])
    for term in number * chances:
        mean = mean + term
    return np.asarray(np.floor(mean + 0.5), dtype=np.int64)
