"""A customer base whose customers are asked of different models, by what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners.customer_base import CustomerBase, Part, distinct_histories

Rows = NDArray[np.int64] | slice


@dataclass(frozen=True)
class PartedBase(CustomerBase):
    """A customer base that asks each of its :meth:`parts` of models of its own.

    Those of all customers are asked where nothing is known of a customer but the history.
    """

    @cached_property
    def of_all(self) -> CustomerBase:
        """The models of all customers."""
        return CustomerBase(self.models, self.spend, self.weights)

    def columns(self, features: Mapping[str, Array], horizon_days: int) -> dict[str, Array]:
        """Return the predictions of the models, see :meth:`CustomerBase.columns`."""
        parts = self.parts(features)
        values = [self.columns_of_part(part, horizon_days) for part in parts]
        names = values[0] if values else {}
        return {name: merged(parts, [of_part[name] for of_part in values]) for name in names}

    def none_within(self, days: Array | float, features: Mapping[str, Array]) -> Array:
        """Return P(no purchase within ``days``)."""

        def ask(part: Part) -> Array:
            span = days if np.ndim(days) == 0 else np.asarray(days)[part.rows]
            return part.base.none_within(span, part.histories)

        return self._ask(features, ask)

    def discounted_orders(
        self, days: int, features: Mapping[str, Array], annual_rate: float
    ) -> Array:
        """Return the expected discounted purchase days within ``days``."""
        return self._ask(
            features, lambda part: part.base.discounted_orders(days, part.histories, annual_rate)
        )

    def p_alive_by_model(self, features: Mapping[str, Array]) -> list[Array]:
        """Return P(still a customer) by each model, shape (rows,) each."""
        parts = self.parts(features)
        by_part = [
            [p[_position(part)] for p in part.base.p_alive_by_model(part.histories)]
            for part in parts
        ]
        return [merged(parts, of_model) for of_model in zip(*by_part, strict=True)]

    def discounted_orders_until(
        self,
        days: Sequence[int],
        features: Mapping[str, Array],
        annual_rate: float,
        alive: Sequence[Array] | None = None,
    ) -> Array:
        """Return :meth:`discounted_orders` within each of ``days``, shape (days, rows)."""
        return self._ask(
            features,
            lambda part: part.base.discounted_orders_until(
                days, part.histories, annual_rate, _of_part(part, alive)
            ),
        )

    def rest_if_silent(
        self, horizon_days: int, days: int, features: Mapping[str, Array], annual_rate: float
    ) -> Array:
        """Return the discounted orders between two spans of who orders nothing in the first."""
        return self._ask(
            features,
            lambda part: part.base.rest_if_silent(horizon_days, days, part.histories, annual_rate),
        )

    def kept_orders(
        self,
        days: int,
        features: Mapping[str, Array],
        annual_rate: float,
        alive: Sequence[Array] | None = None,
    ) -> Array:
        """Return the expected discounted purchase days within ``days`` of who is kept."""
        return self._ask(
            features,
            lambda part: part.base.kept_orders(
                days, part.histories, annual_rate, _of_part(part, alive)
            ),
        )

    def regained_orders(
        self,
        days: int,
        features: Mapping[str, Array],
        annual_rate: float,
        alive: Sequence[Array] | None = None,
    ) -> Array:
        """Return the discounted purchase days within ``days`` of who had left and is back."""
        return self._ask(
            features,
            lambda part: part.base.regained_orders(
                days, part.histories, annual_rate, _of_part(part, alive)
            ),
        )

    def _ask(self, features: Mapping[str, Array], ask: Callable[[Part], Array]) -> Array:
        parts = self.parts(features)
        return merged(parts, [ask(part) for part in parts])


def merged(parts: Sequence[Part], values: Sequence[Array]) -> Array:
    """Return the values of parts, whose last axis is that of the rows, in the order of the rows."""
    if len(parts) == 1:
        return values[0]
    result = np.empty((*values[0].shape[:-1], sum(v.shape[-1] for v in values)))
    for part, of_part in zip(parts, values, strict=True):
        result[..., part.rows] = of_part
    return result


def _position(part: Part) -> Rows:
    return distinct_histories(part.histories)[1]


def _of_part(part: Part, alive: Sequence[Array] | None) -> list[Array] | None:
    """Return P(still a customer) of the distinct histories of a part, from that of all rows."""
    if alive is None:
        return None
    own, position = [p[part.rows] for p in alive], _position(part)
    if isinstance(position, slice):
        return own
    first = np.zeros(int(position.max()) + 1, dtype=np.int64)
    first[position] = np.arange(len(position))
    return [p[first] for p in own]
