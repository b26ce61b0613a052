"""The customer base of a log most of whose customers buy once a year, in the same weeks.

Donors give before Christmas, gardeners order in spring: for the models of all customers their next
purchase may come on any day of the year. Those whose purchases all lie in the season, at most one
in each year, are asked of BG/BB (:mod:`stagecast.training.learners.btyd.once_a_season`), the others
of models that are fitted on them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.billing.calendar import YEAR
from stagecast.training.learners.btyd.once_a_season import OnceASeason
from stagecast.training.learners.customer_base import HISTORY, CustomerBase, Part
from stagecast.training.learners.parted import PartedBase

READS: Final = ("first_day", "last_day")
SEASONAL, OTHER = 0, 1
"""Numbers of the parts."""


@dataclass(frozen=True)
class Season:
    """The weeks of the year in which seasonal customers buy.

    Parameters
    ----------
    begins
        Days from the beginning of a year to that of the season, below :data:`YEAR`.
    length
        Its days.
    """

    begins: float
    length: float

    def year(self, days: Array) -> Array:
        """Return the number of the season that has begun last on days since 1970, same shape."""
        return np.asarray(np.floor((days - self.begins) / YEAR))

    def into(self, days: Array) -> Array:
        """Return the days since it began, same shape."""
        return np.asarray(np.mod(days - self.begins, YEAR))

    def is_seasonal(self, features: Mapping[str, Array]) -> NDArray[np.bool_]:
        """Return who has bought in the season only, at most once in each, shape (rows,).

        Parameters
        ----------
        features
            ``frequency`` and those of :data:`READS`, shape (rows,) each.
        """
        first, last = (features[name] for name in READS)
        inside = (self.into(first) <= self.length) & (self.into(last) <= self.length)
        return np.asarray(inside & (features["frequency"] <= self.year(last) - self.year(first)))

    def histories(self, features: Mapping[str, Array]) -> dict[str, Array]:
        """Return histories that begin with the season of the first purchase.

        Parameters
        ----------
        features
            Those of :data:`HISTORY` and :data:`READS` of seasonal customers, shape (rows,) each.
        """
        first, last = (features[name] for name in READS)
        year = self.year(first)
        as_of = first + features["T_days"]
        t_x = (self.year(last) - year) * YEAR
        T = np.maximum(as_of - (self.begins + year * YEAR), t_x)
        return {"frequency": features["frequency"], "t_x_days": t_x, "T_days": T}

    def to_json(self) -> dict[str, float]:
        """Return it as plain data."""
        return {"begins": self.begins, "length": self.length}


@dataclass(frozen=True)
class SeasonalBase(PartedBase):
    """A customer base whose customers buy once a year in a season, or are others.

    Parameters
    ----------
    season
        The season.
    once
        The model of seasonal customers.
    others
        The models of the others: as many as those of all, with their names.
    """

    season: Season = Season(0.0, 0.0)
    once: OnceASeason | None = None
    others: CustomerBase | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The features that tell a seasonal customer."""
        return READS

    @property
    def is_seasonal(self) -> bool:
        """Whether most customers buy in a season of the year."""
        return True

    @property
    def is_regular(self) -> bool:
        """Whether purchases come at some times and not at others: in a season."""
        return True

    @property
    def regular_model(self) -> None:
        """The model by whose regular gaps payments are told: none."""
        return None

    def parts(self, features: Mapping[str, Array]) -> list[Part]:
        """Return the seasonal rows and the others; all in one part where nothing tells them."""
        if any(name not in features for name in READS) or self.once is None:
            return [Part(self.of_all, slice(None), features)]
        seasonal = self.season.is_seasonal(features)
        parts = []
        for number, chosen in ((SEASONAL, seasonal), (OTHER, ~seasonal)):
            rows = np.flatnonzero(chosen)
            if not len(rows):
                continue
            own = {name: features[name][rows] for name in (*HISTORY, *READS)}
            is_once = number == SEASONAL
            base = self._seasonal if is_once else (self.others or self.of_all)
            histories = (
                self.season.histories(own) if is_once else {name: own[name] for name in HISTORY}
            )
            parts.append(Part(base, rows, histories, number))
        return parts or [Part(self.of_all, slice(None), features)]

    def columns_of_part(self, part: Part, horizon_days: int) -> dict[str, Array]:
        """Return the predictions for a part; the models of all customers have a column each."""
        columns = super().columns_of_part(part, horizon_days)
        for model in self.models:
            columns.setdefault(f"btyd_none_{model.name}", columns["btyd_none"])
        return columns

    @cached_property
    def _seasonal(self) -> CustomerBase:
        """The customer base of seasonal customers, with as many models as the others'."""
        assert self.once is not None
        models = len(self.models)
        return CustomerBase((self.once,) * models, self.spend, (1.0, *(0.0,) * (models - 1)))

    def has_plans_of(self, other: CustomerBase) -> bool:
        """Return whether customers buy in a season in another customer base, too."""
        return other.is_seasonal

    def to_json(self) -> dict[str, Any]:
        """Return the models as JSON values."""
        assert self.once is not None
        others = {} if self.others is None else {"others": self.others.to_json()}
        own = {"season_of_year": self.season.to_json(), "once": self.once.to_json(), **others}
        return {**super().to_json(), **own}

    @classmethod
    def with_season(cls, base: CustomerBase, stored: Mapping[str, Any]) -> Self:
        """Return a customer base with the season of JSON values of :meth:`to_json`.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``stored`` does not have that form.
        """
        season = {key: float(stored["season_of_year"][key]) for key in ("begins", "length")}
        others = CustomerBase.from_json(stored["others"]) if stored.get("others") else None
        if others is not None and len(others.models) != len(base.models):
            raise ValueError("the others of a season have not as many models as all customers")
        return cls(
            base.models,
            base.spend,
            base.weights,
            season=Season(**season),
            once=OnceASeason.from_json(stored["once"]),
            others=others,
        )
