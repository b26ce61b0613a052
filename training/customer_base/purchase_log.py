"""From a log of purchases to the table that customer-base models are fitted on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd

from stagecast.features.arguments.values import shown
from stagecast.features.errors import UsageError
from stagecast.features.frames.given import as_frame, as_times
from stagecast.features.frames.instants import as_datetime, warn_if_late
from stagecast.features.intake.counted import counted
from stagecast.features.shop.events import events_of
from stagecast.training.learners.btyd.gaps import LogGaps

if TYPE_CHECKING:
    from stagecast.features.events import EventLog

_DAY = pd.Timedelta(days=1)
_GIVE = "a pandas, polars or Arrow table of purchases, or a log of read_events"


def purchase_summary(
    purchases: object,
    as_of: Any = None,
    *,
    customer: str = "customer_id",
    time: str = "timestamp",
    amount: str | None = None,
) -> pd.DataFrame:
    """Return one row per customer from a log of purchases; several on one day are one.

    Parameters
    ----------
    purchases : table or EventLog
        Of pandas, polars or Arrow, one row per purchase; or a log, whose days are those of the
        shop.
    as_of : str, date or Timestamp, optional
        Only purchases before it count; the day after the last purchase by default. Times without
        a zone are UTC.
    customer, time, amount : str
        Names of columns; of a log they are known. Without ``amount`` there is no money.

    Returns
    -------
    pandas.DataFrame
        Indexed by customer: ``frequency``, ``t_x_days``, ``T_days`` and, with ``amount``,
        ``monetary`` (mean money per repeat purchase day; 0 without one); ``log_gaps`` and
        ``digamma_gaps``, sums over the gaps between purchase days, for ``regularity="auto"``.

    Raises
    ------
    UsageError
        A column is missing, there is no purchase, a time or an amount cannot be read or is missing,
        or no purchase lies before ``as_of``.

    Warns
    -----
    UserWarning
        The ``as_of`` stands more than a year after the last purchase.

    Examples
    --------
    >>> days = ["2024-01-01", "2024-01-01", "2024-01-11", "2024-01-03"]
    >>> purchases = pd.DataFrame({"customer_id": list("aaab"), "timestamp": days})
    >>> table = purchase_summary(purchases, "2024-01-21")
    >>> table[["frequency", "t_x_days", "T_days"]].to_numpy().tolist()
    [[1.0, 10.0, 20.0], [0.0, 0.0, 18.0]]
    """
    days = purchase_days(purchases, customer=customer, time=time, amount=amount)
    last = float(days["day"].max())
    end = last + 1 if as_of is None else as_day(as_of)
    before = days[days["day"] < end]
    if before.empty:
        raise UsageError(f"as_of {as_of}: no purchase before it; give a later as_of")
    warn_if_late(date_of(end), date_of(last), "purchase", stacklevel=2)
    by_customer = before.groupby("customer", sort=True)["day"]
    first, latest, orders = by_customer.min(), by_customer.max(), by_customer.count()
    table = pd.DataFrame(
        {
            "frequency": (orders - 1).astype(np.float64),
            "t_x_days": (latest - first).astype(np.float64),
            "T_days": np.floor(end - first).astype(np.float64),
        }
    )
    table.index.name = customer
    if amount is not None:
        repeat = before[before["day"] > before["customer"].map(first)]
        mean = repeat.groupby("customer")["amount"].mean()
        table["monetary"] = mean.reindex(table.index).fillna(0.0)
    position = np.searchsorted(table.index.to_numpy(), before["customer"].to_numpy())
    gaps = LogGaps.of(position, before["day"].to_numpy(), len(table))
    return table.assign(log_gaps=gaps.log, digamma_gaps=gaps.digamma)


def purchase_days(
    purchases: object,
    *,
    customer: str = "customer_id",
    time: str = "timestamp",
    amount: str | None = None,
) -> pd.DataFrame:
    """Return ``customer``, ``day`` (days since 1970) and ``amount``, one row per purchase day.

    Rows are ordered by customer and day. Raises :class:`UsageError` as :func:`purchase_summary`.
    """
    if is_log(purchases):
        customer, time, amount = "customer_id", "timestamp", amount and "amount"
        frame = _purchases_of(purchases)
    else:
        frame = as_frame(purchases, "purchases", _GIVE)
    parts = {"customer": customer, "time": time, "amount": amount}
    for part, name in parts.items():
        if name is None and part == "amount":
            continue
        if name not in frame.columns:
            raise UsageError(
                f"{part}={shown(name)}: purchases have no column {name!r}; their columns are "
                f"{', '.join(map(str, frame.columns[:12]))}. Say which it is by customer=, "
                "time= and amount="
            )
    try:
        instants = pd.to_datetime(as_times(frame[time]), utc=True, format="ISO8601")
        money = 0.0 if amount is None else pd.to_numeric(frame[amount])
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"purchases cannot be read: {_line(error)}; write times like 2024-01-31 or "
            "2024-01-31 10:00, or pass timestamps, and amounts as numbers"
        ) from error
    faulty = np.flatnonzero(instants.isna() | frame[customer].isna())
    if len(faulty):
        raise UsageError(
            f"purchases have {counted(len(faulty), 'row')} without a customer or a time, first row "
            f"{faulty[0]}; leave them out"
        )
    if not len(frame):
        raise UsageError(
            "purchases have no row; check what they were filtered by, or whether the log has "
            "events of the type 'purchase'"
        )
    # a log knows purchases without an amount, which bring nothing
    must_have = amount is not None and not is_log(purchases)
    lacking = np.flatnonzero(~np.isfinite(money)) if must_have else np.array([], dtype=np.int64)
    if len(lacking):
        raise UsageError(
            f"purchases have {counted(len(lacking), 'row')} without an amount in {amount!r}, first "
            f"row {lacking[0]}; leave them out, such as by dropna(subset=[{amount!r}]), or fill "
            "them in: 0 means that a purchase brought nothing"
        )
    day = (instants - pd.Timestamp(0, tz="UTC")) // _DAY
    rows = pd.DataFrame({"customer": frame[customer], "day": day, "amount": money})
    return rows.groupby(["customer", "day"], sort=True)["amount"].sum().reset_index()


def is_log(purchases: object) -> TypeGuard[EventLog]:
    """Say whether it is a log of events; without importing DuckDB, which a server does not need."""
    return hasattr(purchases, "con") and hasattr(purchases, "choose_as_of")


def _purchases_of(log: EventLog) -> pd.DataFrame:
    """Return the purchases of a log, at times of the shop's clock."""
    frame: pd.DataFrame = log.con.sql(
        "select customer_id, timestamp, cast(amount as double) as amount "
        f"from {events_of(log.con)} where event = 'purchase'"
    ).df()
    return frame


def gaps_of(X: Any) -> LogGaps:
    """Return the sums over gaps in a table of customers.

    Raises
    ------
    UsageError
        X does not have them.
    """
    try:
        return LogGaps(
            *(np.asarray(X[name], dtype=np.float64) for name in ("log_gaps", "digamma_gaps"))
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UsageError(
            "regularity='auto' needs the columns log_gaps and digamma_gaps of purchase_summary; "
            "X lacks them. Make X with purchase_summary, or give a number"
        ) from error


def as_day(as_of: Any, name: str = "as_of") -> float:
    """Return an instant in days since 1970; raise UsageError for what is none."""
    try:
        time = as_of if isinstance(as_of, str) else as_datetime(as_of, name)
        instant = pd.Timestamp(time)
        instant = instant.tz_localize("UTC") if instant.tzinfo is None else instant
        day = float((instant - pd.Timestamp(0, tz="UTC")) / _DAY)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{name} {as_of!r} is no date; write it like 2024-01-31") from error
    if day != day:  # the text of a null
        raise UsageError(f"{name} {as_of!r} is no date; write it like 2024-01-31")
    return day


def date_of(day: float) -> datetime:
    """Return a time in days since 1970 as a datetime without a zone."""
    return datetime(1970, 1, 1) + timedelta(days=float(day))


def _line(error: Exception) -> str:
    return str(error).split(". You might")[0].split("\n")[0]
