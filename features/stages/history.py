"""The stage history of a log: every spell of every customer, with the rule that began it."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.clock import microseconds
from stagecast.features.shop.clock import UTC_CLOCK, ShopClock
from stagecast.features.stages.lifecycle import Lifecycle

INSTANT = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), False),
        pa.field("stage", pa.string(), False),
        pa.field("from", INSTANT, False),
        pa.field("to", INSTANT),
        pa.field("rule", pa.string(), False),
    ]
)
"""``from`` is the exact instant at which the stage began, ``to`` that at which the next one began,
null if the spell lasts.
"""


def history(
    lifecycle: Lifecycle,
    ids: NDArray[np.object_],
    as_of: datetime,
    clock: ShopClock = UTC_CLOCK,
) -> pa.Table:
    """Return every spell that began before the as_of, ordered by customer and ``from``.

    Parameters
    ----------
    lifecycle
        Its journeys must hold their facts (``keep_facts``).
    ids
        Customer ids of the record, shape (n_customers,).
    as_of
        The time up to which spells are returned, in shop time.
    clock
        Clock of the shop whose days the lifecycle counts.

    Returns
    -------
    pa.Table
        See :data:`SCHEMA`.
    """
    journeys, instant = lifecycle.journeys, microseconds(as_of)
    has_begun = journeys.start < instant
    customer, stage, start = (
        journeys.customer[has_begun],
        journeys.stage[has_begun],
        journeys.start[has_begun],
    )
    facts = {name: values[has_begun] for name, values in journeys.facts.items()}
    start = clock.instant_microseconds(start)
    following = np.r_[start[1:], 0]
    is_last = (
        np.r_[customer[1:] != customer[:-1], True] if len(customer) else np.zeros(0, dtype=np.bool_)
    )
    columns = [
        pa.array(ids, pa.string()).take(pa.array(customer)),
        pa.array(lifecycle.scheme.ids, pa.string()).take(pa.array(stage)),
        pa.array(start).cast(INSTANT),
        pa.array(following[: len(start)], mask=is_last).cast(INSTANT),
        lifecycle.scheme.explain(stage, facts),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
