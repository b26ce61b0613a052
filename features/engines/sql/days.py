"""Purchase days, net of refunds, and what was bought after a date: from rows of ``daily``."""

from __future__ import annotations

from collections.abc import Sequence

from stagecast.features.engines.sql.steps import ANY, Shape, Step


def net_days(source: str, keys: str, partition: str, shape: Shape) -> list[Step]:
    """Return the steps from rows of ``daily`` to ``purchase_days``: one row per day of which a
    purchase remains.

    Refunds of a day take back what was bought last: that day's own purchases, then those of the
    purchase day before, and so on; what is left of them then is of purchases before the log, and
    counts as nothing. A day with purchases above 0 of which all was taken back is no purchase day;
    one of purchases of 0 always is.

    The ``balance`` is purchases less refunds up to a day. A day's purchases lift it; the lowest
    that it ever falls to again, from that day on, is how much of them remains above the balance of
    the day before.

    Parameters
    ----------
    source
        Name of the step with the rows, only those that are to be known.
    keys
        Columns to group by beside ``day``; ``partition``, those of them that tell one customer's
        past from another.
    shape
        Without refunds the same days come of a group by, and of a filter where nothing was known
        late.

    Returns
    -------
    list of Step
        The last has ``keys``, ``day``, ``spend`` (money, net, never negative), ``first_purchase``.
    """
    if shape.plain:
        plain = (
            f"select {keys}, day, gross_spend as spend, first_purchase from {source} "
            "where purchases > 0"
        )
        return [Step("purchase_days", plain)]
    if not shape.refunds:
        plain = (
            f"select {keys}, day, sum(gross_spend) as spend, min(first_purchase) as first_purchase"
        )
        return [
            Step("purchase_days", f"{plain} from {source} where purchases > 0 group by {keys}, day")
        ]
    so_far = (
        f"(partition by {partition} order by day rows between unbounded preceding and current row)"
    )
    from_now = (
        f"(partition by {partition} order by day rows between current row and unbounded following)"
    )
    return [
        Step(
            "day_totals",
            f"""
            select {keys}, day, sum(purchases) as purchases, sum(gross_spend) as gross_spend,
            sum(refund) as refund,
                min(first_purchase) as first_purchase
            from {source} where purchases > 0 or refund > 0 group by {keys}, day
            """,
        ),
        Step(
            "balances",
            f"select *, sum(gross_spend - refund) over {so_far} as balance from day_totals",
        ),
        Step("outlooks", f"select *, min(balance) over {from_now} as lowest from balances"),
        Step(
            "netted",
            f"""
            select {keys}, day, gross_spend, first_purchase,
                greatest(least(gross_spend, lowest - (balance - gross_spend + refund)), 0) as spend
            from outlooks where purchases > 0
            """,
        ),
        Step(
            "purchase_days",
            (
                f"select {keys}, day, spend, first_purchase from netted where spend > 0 or "
                "gross_spend = 0"
            ),
        ),
    ]


def purchase_days(where: str = "known < 0", shape: Shape = ANY) -> list[Step]:
    """Return the steps to one row per customer and purchase day, from the rows of ``daily`` that
    ``where`` keeps.
    """
    known = Step("known_days", f"select * from daily where {where}")
    return [known, *net_days("known_days", "customer", "customer", shape)]


def outcomes(horizon_days: int, backs: Sequence[int], shape: Shape = ANY) -> list[Step]:
    """Return the steps from ``daily`` to what happened within ``[as_of, as_of + horizon)`` of each
    date.

    One row per customer and date with a purchase that remains: ``orders`` (purchase days) and
    ``spend`` (money, net). Only what was known before the anchor counts. Refunds of the window take
    back purchases of the window; what they leave over is of purchases before it, and does not make
    the window's spend less.
    """
    return [
        Step(
            "dates", " union all ".join(f"select {back} as back" for back in dict.fromkeys(backs))
        ),
        Step(
            "ahead",
            f"""
            select daily.*, back
            from daily join dates
                on daily.happened >= -dates.back and daily.happened < {horizon_days} - dates.back
                and daily.known < 0
            """,
        ),
        *net_days("ahead", "customer, back", "customer, back", shape),
        Step(
            "outcomes",
            """
            select customer, back, cast(count(*) as double) as orders,
            cast(sum(spend) as double) / 1.0e6 as spend
            from purchase_days group by 1, 2
            """,
        ),
    ]
