"""``Scorer``: scores raw events of a few customers, whose form is checked first.

The server scores with :class:`stagecast.serving.scoring.scorer.Scorer` itself: what it is sent was
checked when it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from stagecast.features.arguments.values import flag, number, refuse, shown
from stagecast.features.clock import SHOP
from stagecast.features.errors import UsageError
from stagecast.features.frames.instants import Instant, as_datetime
from stagecast.features.intake.reasons import LARGEST_AMOUNT
from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.shop.customer_ids import clean_id, customer_id_text, id_problem
from stagecast.serving.python.words import speaks_python
from stagecast.serving.scoring.scorer import Scorer as ScorerOfEvents

if TYPE_CHECKING:
    import pyarrow as pa

    from stagecast.features.shop.clock import ShopClock

_GIVE = "a list of CustomerEvents, like [CustomerEvents('c17', [Event('2024-01-31', amount=20.0)])]"
_EVENTS = "a list of Event, like [Event('2024-01-31', 'purchase', 20.0)]"
_MONEY = f"money, a finite number up to {LARGEST_AMOUNT:.0e}, like 20.0, or None"
_TEXTS = ("channel", "event_id", "category")


class Scorer(ScorerOfEvents):
    """Scores customers with one bundle.

    Parameters
    ----------
    bundle
        The bundle of a fitted model, such as ``model.bundle_``.
    threads
        Number of threads for LightGBM; 0 uses all cores. Use 1 in a server: for a few rows, threads
        cost a hundred times what they save.
    with_reasons
        Whether to compute the reasons, which takes longer than everything else; if not, each list
        of reasons is empty.

    Examples
    --------
    >>> import stagecast as sc
    >>> from stagecast.features.requests import CustomerEvents, Event
    >>> scorer = sc.load_scorer("shop-model")  # doctest: +SKIP
    >>> customer = CustomerEvents("c17", [Event("2024-01-31", "purchase", 20.0)])
    >>> scorer.score_objects([customer], "2024-03-01")  # doctest: +SKIP
    """

    @speaks_python
    def score_customers(
        self,
        customers: Iterable[CustomerEvents],
        as_of: Instant,
        data_cutoff: Instant | None = None,
        has_amounts: bool | None = None,
    ) -> pa.Table:
        """Return the scores of customers as a table, one row each, in the same order.

        Parameters
        ----------
        customers
            The customers with their events. A time is what ``as_of`` may be; amounts are plain
            numbers, money paid back is an event ``refund``.
        as_of
            Where the customers stand, not before the as_of of the training; later events are
            ignored. Without a zone it is what the shop's clock shows.
        data_cutoff
            Time of the last event before the as_of; None: for each customer their own.
        has_amounts
            Whether purchases of the log have amounts; None: it is asked of each customer, who has
            none if there are purchases, and none of them has an amount.

        Raises
        ------
        UsageError
            The as_of stands before the training, or an id, a time or an amount cannot be used; the
            message says which.
        NotEnoughDataError
            A customer has no event before the as_of.
        """
        clock = self.bundle.clock
        return super().score_customers(
            checked_customers(customers, clock),
            self._checked_as_of(as_of),
            None if data_cutoff is None else _instant(data_cutoff, "data_cutoff", clock),
            None if has_amounts is None else flag(has_amounts, "has_amounts"),
        )

    @speaks_python
    def score_objects(
        self, customers: Iterable[CustomerEvents], as_of: Instant, *, with_reasons: bool = True
    ) -> list[dict[str, Any]]:
        """Return the scores of customers as JSON objects of the API, in the same order.

        Parameters
        ----------
        customers, as_of
            See :meth:`score_customers`.
        with_reasons
            Whether to compute the reasons, if the scorer computes any; if not, each list is empty.

        Raises
        ------
        UsageError, NotEnoughDataError
            See :meth:`score_customers`.
        """
        return super().score_objects(
            checked_customers(customers, self.bundle.clock),
            self._checked_as_of(as_of),
            with_reasons=flag(with_reasons, "with_reasons"),
        )

    def _checked_as_of(self, as_of: Instant) -> datetime:
        from stagecast.serving.scoring.batch import check_as_of

        clock = self.bundle.clock
        at = clock.shop(as_datetime(as_of))
        check_as_of(self.bundle, at)
        return clock.instant(at)


def checked_customers(customers: object, clock: ShopClock) -> list[CustomerEvents]:
    """Return customers with ids as texts, times as instants in UTC, and amounts as numbers.

    Raises
    ------
    UsageError
        There is none, or one of them cannot be used; the message says where.
    """
    if hasattr(type(customers), "columns"):
        raise UsageError(
            f"customers = {shown(customers)} is a table; score it by Lifecycle.score("
            "sc.read_events(table)), or give " + _GIVE
        )
    if not isinstance(customers, Iterable) or isinstance(customers, str | bytes | Mapping):
        refuse(customers, "customers", _GIVE)
    listed = list(customers)
    if not listed:
        refuse(customers, "customers", _GIVE)
    return [_customer(each, f"customers[{k}]", clock) for k, each in enumerate(listed)]


def _customer(given: object, place: str, clock: ShopClock) -> CustomerEvents:
    if not isinstance(given, CustomerEvents):
        refuse(given, place, "CustomerEvents of stagecast.features.requests")
    id_ = clean_id(customer_id_text(given.customer_id, f"{place}.customer_id"))
    if problem := id_problem(id_):
        raise UsageError(f"{place}.customer_id = {shown(given.customer_id)} {problem}")
    events: object = given.events
    if not isinstance(events, Iterable) or isinstance(events, str | bytes | Mapping):
        refuse(events, f"{place}.events", _EVENTS)
    if not isinstance(given.attributes, Mapping):
        refuse(given.attributes, f"{place}.attributes", "a dict, like {'channel': 'ads'}")
    checked = tuple(_event(e, f"{place}.events[{k}]", clock) for k, e in enumerate(events))
    priced = [event.amount is not None for event in checked if event.event == "purchase"]
    if any(priced) and not all(priced):
        raise UsageError(
            f"{place} ({shown(id_)}) has purchases with an amount and {priced.count(False):,} "
            "without one; write 0 for what was free"
        )
    return replace(given, customer_id=id_, events=checked)


def _event(given: object, place: str, clock: ShopClock) -> Event:
    if not isinstance(given, Event):
        refuse(given, place, "Event of stagecast.features.requests")
    kind: object = given.event
    if not isinstance(kind, str) or not kind.strip():
        refuse(kind, f"{place}.event", "the type of the event, like 'purchase'")
    kind = kind.strip().lower()
    for name in _TEXTS:
        if not isinstance(getattr(given, name), str | None):
            refuse(getattr(given, name), f"{place}.{name}", "a text or None")
    amount, discount = (
        None if value is None else float(number(value, f"{place}.{name}", _MONEY, **_BOUNDS))
        for name, value in (("amount", given.amount), ("discount", given.discount))
    )
    if amount is not None and kind == "purchase" and amount < 0:
        raise UsageError(
            f"{place}.amount = {shown(given.amount)}: a purchase with a negative amount; give "
            "money paid back as an event 'refund'"
        )
    return msgspec.structs.replace(
        given,
        event=kind,
        timestamp=_wall(given.timestamp, f"{place}.timestamp", clock),
        recorded_at=None
        if given.recorded_at is None
        else _wall(given.recorded_at, f"{place}.recorded_at", clock),
        amount=abs(amount) if amount is not None and kind == "refund" else amount,
        discount=None if discount is None else abs(discount),
    )


_BOUNDS = {"least": -LARGEST_AMOUNT, "most": LARGEST_AMOUNT}


def _instant(time: Any, name: str, clock: ShopClock) -> datetime:
    return clock.instant(clock.shop(as_datetime(time, name)))


def _wall(time: Any, name: str, clock: ShopClock) -> datetime:
    """Return the instant of an event, of two that the clock shows alike the first."""
    try:
        at = as_datetime(time, name)
    except UsageError:
        refuse(time, name, "a time, like '2024-01-31 10:00', a datetime or a pandas Timestamp")
    return clock.wall(at.replace(tzinfo=None) if at.tzinfo is SHOP else at)
