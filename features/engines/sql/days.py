"""Steps for purchase days net of refunds, and for outcomes, from the table ``daily``."""

from __future__ import annotations

from collections.abc import Sequence

from stagecast.features.engines.sql.steps import ANY, Shape, Step


def net_day_steps(source: str, keys: str, partition: str, shape: Shape) -> list[Step]:
    """Return the steps from rows of ``daily`` to ``purchase_days``, net of refunds.

    A refund reverses the latest purchases first: those of its own day, then those of the purchase
    day before, and so on. If any of it is left then, it belongs to purchases before the log and is
    ignored. A day whose purchases are above 0 and are refunded in full is not a purchase day; a day
    whose purchases are 0 always is.

    The ``balance`` of a day is the sum of purchases less refunds up to its end. The purchases of a
    day raise the balance. The lowest balance from that day on, less the balance of the day before,
    is the part of the purchases that is never refunded.

    Parameters
    ----------
    source
        Name of the step with the rows to use, which are those known at the date.
    keys
        Columns to group by, beside ``day``.
    partition
        Those of ``keys`` that identify one customer's past.
    shape
        Shape of the log. Without refunds a group by gives the same result; without late records as
        well, a filter does.

    Returns
    -------
    list of Step
        The last has ``keys``, ``day``, ``spend`` (in millionths, net of refunds, never negative)
        and ``first_purchase``.
    """
    if shape.plain:
        query = (
            f"select {keys}, day, gross_spend as spend, first_purchase from {source} "
            "where purchases > 0"
        )
        return [Step("purchase_days", query)]
    if not shape.refunds:
        query = (
            f"select {keys}, day, sum(gross_spend) as spend, min(first_purchase) as first_purchase "
            f"from {source} where purchases > 0 group by {keys}, day"
        )
        return [Step("purchase_days", query)]
    up_to_day = (
        f"(partition by {partition} order by day rows between unbounded preceding and current row)"
    )
    from_day_on = (
        f"(partition by {partition} order by day rows between current row and unbounded following)"
    )
    return [
        Step(
            "day_totals",
            f"""
            select {keys}, day, sum(purchases) as purchases, sum(gross_spend) as gross_spend,
                sum(refund) as refund, min(first_purchase) as first_purchase
            from {source} where purchases > 0 or refund > 0 group by {keys}, day
            """,
        ),
        Step(
            "balances",
            f"select *, sum(gross_spend - refund) over {up_to_day} as balance from day_totals",
        ),
        Step(
            "lowest_balances", f"select *, min(balance) over {from_day_on} as lowest from balances"
        ),
        Step(
            "net_spends",
            f"""
            select {keys}, day, gross_spend, first_purchase,
                greatest(least(gross_spend, lowest - (balance - gross_spend + refund)), 0) as spend
            from lowest_balances where purchases > 0
            """,
        ),
        Step(
            "purchase_days",
            (
                f"select {keys}, day, spend, first_purchase from net_spends where spend > 0 or "
                "gross_spend = 0"
            ),
        ),
    ]


def purchase_day_steps(where: str = "known < 0", shape: Shape = ANY) -> list[Step]:
    """Return the steps from ``daily`` to one row per customer and purchase day.

    Parameters
    ----------
    where
        Condition on the rows of ``daily``; by default those known at the anchor.
    shape
        Shape of the log.
    """
    known_days = Step("known_days", f"select * from daily where {where}")
    return [known_days, *net_day_steps("known_days", "customer", "customer", shape)]


def outcome_steps(horizon_days: int, backs: Sequence[int], shape: Shape = ANY) -> list[Step]:
    """Return the steps from ``daily`` to the purchases within ``[date, date + horizon)`` per date.

    Only what was known at the anchor counts. Refunds within the horizon reverse purchases within
    the horizon; a remainder belongs to earlier purchases and does not reduce the spend.

    Parameters
    ----------
    horizon_days
        Length of the horizon.
    backs
        The dates as whole days before the anchor.
    shape
        Shape of the log.

    Returns
    -------
    list of Step
        The last has one row per customer and date with a purchase that was not refunded in full:
        ``customer``, ``back``, ``orders`` (purchase days) and ``spend`` (money, net of refunds).
    """
    return [
        Step(
            "dates", " union all ".join(f"select {back} as back" for back in dict.fromkeys(backs))
        ),
        Step(
            "horizon_rows",
            f"""
            select daily.*, back
            from daily join dates
                on daily.happened >= -dates.back and daily.happened < {horizon_days} - dates.back
                and daily.known < 0
            """,
        ),
        *net_day_steps("horizon_rows", "customer, back", "customer, back", shape),
        Step(
            "outcomes",
            """
            select customer, back, cast(count(*) as double) as orders,
                cast(sum(spend) as double) / 1.0e6 as spend
            from purchase_days group by 1, 2
            """,
        ),
    ]
