"""Input of the stand-alone customer-base models: tables of customers, spans and units of time.

Times of tables are in the model's unit, except in columns whose name says days. What leaves this
module is in days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from stagecast.features.arguments.spans import as_timedelta
from stagecast.features.arguments.values import shown
from stagecast.features.arrays import Array
from stagecast.features.clock import parse_span_days
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.frames.given import as_frame, is_table
from stagecast.features.intake.counted import counted
from stagecast.training.learners.btyd.histories import as_floats

UNITS: Final[Mapping[str, float]] = {"hour": 1.0 / 24.0, "day": 1.0, "week": 7.0}
"""Units of time and their days; a span such as ``30d`` is a unit, too."""

_FREQUENCY = ("frequency", "x", "frequency_cal")
# in days whatever the unit of the model, then in its unit
_RECENCY = ("t_x_days", "recency", "t_x", "recency_cal")
_AGE = ("T_days", "T", "T_cal")
_MONETARY = ("monetary", "monetary_value", "monetary_value_cal")
_POSITIONS = (_FREQUENCY, _RECENCY, _AGE, _MONETARY)
_SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True)
class Customers:
    """Histories of customers; times in days, shape (n_customers,) each.

    Parameters
    ----------
    x, t_x, T
        Repeat purchase days; days from the first to the last purchase; days from the first
        purchase to the end of the observation. NaN in customers without a purchase yet.
    monetary
        Mean money per repeat purchase day; empty where it was not asked for.
    index
        Index of the table; None where it is no pandas frame.
    """

    x: Array
    t_x: Array
    T: Array
    monetary: Array
    index: pd.Index[Any] | None

    @property
    def known(self) -> NDArray[np.bool_]:
        """Customers with a first purchase, shape (n_customers,)."""
        return np.asarray(np.isfinite(self.T) & np.isfinite(self.x))

    def labelled(self, values: Array, name: str) -> Any:
        """Return the values as a Series with the table's index, or as an array without one."""
        return values if self.index is None else pd.Series(values, index=self.index, name=name)

    def predicted(self, name: str, formula: Callable[[Array, Array, Array], Array]) -> Any:
        """Return a prediction per customer from (x, t_x, T); NaN for those without a purchase."""
        known = self.known
        values = np.full(len(self.x), np.nan)
        values[known] = formula(self.x[known], self.t_x[known], self.T[known])
        return self.labelled(values, name)


def unit_days(time_unit: Any) -> float:
    """Return the days of a unit of time.

    Raises
    ------
    UsageError
        It is neither a key of :data:`UNITS` nor a span such as ``30d``.

    >>> unit_days("week"), unit_days("30d")
    (7.0, 30.0)
    """
    if isinstance(time_unit, str):
        days = UNITS.get(time_unit.lower().removesuffix("s"))
        if days is not None:
            return days
        if time_unit[:1].isdigit():
            return float(parse_span_days(time_unit, "time_unit"))
    raise UsageError(
        f"time_unit is {time_unit!r}; use {', '.join(map(repr, UNITS))} or a span such as '30d'."
        f"{did_you_mean(str(time_unit), UNITS)}"
    )


def span_days(span: Any, unit: float, name: str = "horizon") -> Array:
    """Return lengths of time in days.

    Parameters
    ----------
    span
        Text such as ``30d`` or ``12w``, a timedelta, or numbers in the model's unit of time.
    unit
        Days of that unit.
    name
        What an error calls it.

    Raises
    ------
    UsageError
        It is none of them, negative, or not finite.
    """
    if isinstance(span, str):
        return np.asarray(float(parse_span_days(span, name)))
    one = as_timedelta(span)
    if one is not None:
        days = np.asarray(one.total_seconds() / _SECONDS_PER_DAY)
    else:
        try:
            days = as_floats(span) * unit
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"{name} is {span!r}; write a span such as '30d', or numbers in the time_unit "
                "of the model"
            ) from error
    bad = ~(np.isfinite(days) & (days >= 0))
    if bad.any():
        raise UsageError(
            f"{name} is {float(days[bad].flat[0] / unit):g}; use a finite length of time of at "
            "least 0"
        )
    return days


def read_customers(X: Any, unit: float, money: bool = False) -> Customers:
    """Read a table of customers.

    Parameters
    ----------
    X
        A frame (pandas, polars, Arrow) or mapping with the columns ``frequency``, ``recency`` (or
        ``t_x``, or ``t_x_days``) and ``T`` (or ``T_days``), or an array of shape (n_customers, 3)
        in this order; with ``money`` also ``monetary``.
    unit
        Days of the unit of ``recency`` and ``T``.
    money
        Whether only frequency and monetary are needed; times are read where there are any.

    Raises
    ------
    UsageError
        A column is missing or holds text, or a customer has an impossible history; the message
        names the customer.
    """
    frame, index = _as_frame(X)
    x = _column(frame, _FREQUENCY)[0]
    blank = np.full(len(x), np.nan)
    timed = not money or all(any(c in frame.columns for c in names) for names in (_RECENCY, _AGE))
    (t_x, t_name), (T, T_name) = (
        (_column(frame, _RECENCY), _column(frame, _AGE)) if timed else ((blank, ""), (blank, ""))
    )
    t_x = t_x if t_name.endswith("_days") else t_x * unit
    T = T if T_name.endswith("_days") else T * unit
    monetary = _column(frame, _MONETARY)[0] if money else np.zeros(0)
    customers = Customers(x, t_x, T, monetary, index)
    if timed:
        _check_histories(customers, frame)
    return customers


def customer_label(frame: pd.DataFrame, position: int) -> str:
    """Return how an error names a customer: by id where there is one, else by the index."""
    label = (
        frame["customer_id"].iloc[position]
        if "customer_id" in frame.columns
        else frame.index[position]
    )
    plain = label.item() if isinstance(label, np.generic) else label
    return f"customer {plain!r} (row {position})"


def counts(sample_weight: ArrayLike | None, customers: int) -> Array:
    """Return the number of customers that each row stands for, shape (n_customers,).

    Raises
    ------
    UsageError
        A wrong shape, or a weight that is negative or not finite.
    """
    if sample_weight is None:
        return np.ones(customers)
    weight = as_floats(sample_weight)
    if weight.shape != (customers,):
        raise UsageError(
            f"sample_weight has shape {weight.shape}; give one number per row of X, ({customers},)"
        )
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(bad):
        raise UsageError(
            f"sample_weight is {weight[bad[0]]:g} at row {bad[0]}; use finite counts of 0 or more"
        )
    return weight


def _as_frame(X: Any) -> tuple[pd.DataFrame, pd.Index[Any] | None]:
    if isinstance(X, pd.DataFrame):
        return X, X.index
    if is_table(X) or isinstance(X, Mapping):
        return as_frame(X, "X"), None
    values = np.asarray(X)
    if values.ndim != 2 or values.shape[1] not in (3, 4):
        raise UsageError(
            f"X = {shown(X)} is a {type(X).__name__} of shape {values.shape}; pass a DataFrame "
            "with the columns frequency, recency and T, or an array with these three columns "
            "(and monetary)"
        )
    names = [names[0] for names in _POSITIONS[: values.shape[1]]]
    names[1], names[2] = "recency", "T"  # in the model's unit
    return pd.DataFrame(values, columns=names), None


def _column(frame: pd.DataFrame, names: tuple[str, ...]) -> tuple[Array, str]:
    """Return the first of the columns that the frame has, and its name."""
    name = next((name for name in names if name in frame.columns), None)
    if name is None:
        hint = ""
        if names is _RECENCY and "recency_days" in frame.columns:
            hint = (
                " recency_days is the time since the last purchase; these models use the time from "
                "the first to the last, T less recency_days."
            )
        raise UsageError(
            f"X has no column {' or '.join(names[:3])}; its columns are "
            f"{', '.join(map(str, frame.columns[:12]))}.{hint}"
        )
    column = frame[name]
    try:
        values = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise UsageError(f"column {name} of X is not numeric: {error}") from error
    return values, name


def _check_histories(customers: Customers, frame: pd.DataFrame) -> None:
    x, t_x, T = customers.x, customers.t_x, customers.T
    with np.errstate(invalid="ignore"):
        possible = (
            (x >= 0)
            & (x == np.floor(x))
            & np.isfinite(x)
            & (t_x >= 0)
            & (t_x <= T)
            & np.isfinite(T)
            & ((x > 0) | (t_x == 0))
        )
    # without a purchase there is neither T nor recency
    none_yet = np.isnan(T) & np.isnan(t_x) & ~(x > 0)
    bad = np.flatnonzero(~possible & ~none_yet)
    if not len(bad):
        return
    k = int(bad[0])
    raise UsageError(
        f"{counted(len(bad), 'customer')} without a possible history, first "
        f"{customer_label(frame, k)}: frequency {x[k]:g}, recency {t_x[k]:g} days, T {T[k]:g} "
        "days. frequency counts repeat purchase days and is a whole number; recency is the time "
        "from the first to the last purchase, at most T and 0 where frequency is 0 (the time since "
        "the last purchase is T less recency)"
    )
