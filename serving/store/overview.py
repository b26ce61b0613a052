"""What a run says on the whole, and what changed since the run before: kept with the run.

It is worked out once, when the run is published, so that no page counts a million rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from stagecast.features.clock import iso
from stagecast.serving.scoring.value_classes import VALUE_SHARES
from stagecast.serving.store.changed import CHANGES
from stagecast.serving.store.earlier_run import earlier_run
from stagecast.serving.store.lists.segments import customers_of, read_segments, sum_of
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.tables import runs, scores


def overview(engine: sa.Engine, run: Run) -> dict[str, Any]:
    """Return the overview of a run; one that is not kept yet is worked out and kept.

    Parameters
    ----------
    engine
        The store.
    run
        A published run.

    Returns
    -------
    Plain data: ``totals`` (customers, active, likely leavers, money at risk, money gone, what may
    return), ``before`` (the same of the run before, and its ``as_of``; None without one), ``plays``
    (customers, ``value_at_risk`` of the active among them, ``may_return`` of the lapsed, ``stake``,
    which is value at risk and value gone of all of them, and how many are new to it; those with
    most to lose or to bring back first), ``changed`` (jumped, returned; None without a run
    before) and ``grid`` (cells of the active by churn band and class of clv: customers, money at
    risk, the most frequent play, and the limits of their clv; cells that an earlier version worked
    out have neither play nor limits).
    """
    with engine.connect() as connection:
        stored = connection.scalar(sa.select(runs.c.overview).where(runs.c.id == run.id))
        if stored is not None and all("may_return" in part for part in stored["plays"]):
            return dict(stored)
        if stored is None:
            result = _make(connection, run)
        else:  # an earlier version worked it out, which had the stake alone
            result = {**stored, "plays": _with_money(connection, run.id, stored["plays"])}
    # a store that cannot be written at the moment can be read nevertheless
    with (
        contextlib.suppress(sa.exc.OperationalError, sa.exc.InternalError),
        engine.begin() as connection,
    ):
        connection.execute(runs.update().where(runs.c.id == run.id).values(overview=result))
    return result


def _make(connection: sa.Connection, run: Run) -> dict[str, Any]:
    previous = earlier_run(connection, run.scheme_id, run.horizon_days, run.as_of)
    before = None if previous is None else int(previous.id)
    return {
        "totals": _totals(connection, run.id),
        "before": None
        if previous is None
        else {"as_of": iso(previous.as_of), **_totals(connection, previous.id)},
        "plays": _plays(connection, run.id, before),
        "changed": None if before is None else _changed(connection, run.id, before),
        "grid": _grid(connection, run.id),
    }


def _totals(connection: sa.Connection, run_id: int) -> dict[str, Any]:
    segments = read_segments(connection, run_id)
    if segments is not None:
        active, lapsed = (
            [part for part in segments if part.state == state] for state in ("active", "lapsed")
        )
        return {
            "customers": customers_of(segments),
            "active": customers_of(active),
            "likely_leavers": sum_of(active, "churn_probability") or 0.0,
            "value_at_risk": sum_of(active, "value_at_risk"),
            "value_gone": sum_of(lapsed, "value_gone"),
            "may_return": sum_of(lapsed, "win_back"),
        }
    c = scores.c
    query = (
        sa.select(
            c.state,
            sa.func.count(),
            sa.func.sum(c.churn_probability),
            sa.func.sum(c.value_at_risk),
            sa.func.sum(c.value_gone),
            sa.func.sum(c.win_back),
        )
        .where(c.run_id == run_id)
        .group_by(c.state)
    )
    rows: Mapping[str, Any] = {row[0]: row for row in connection.execute(query)}
    nobody = ("", 0, None, None, None, None)
    of_active, of_lapsed = rows.get("active", nobody), rows.get("lapsed", nobody)
    return {
        "customers": sum(row[1] for row in rows.values()),
        "active": of_active[1],
        "likely_leavers": float(of_active[2] or 0.0),
        "value_at_risk": of_active[3],
        "value_gone": of_lapsed[4],
        "may_return": of_lapsed[5],
    }


def _plays(connection: sa.Connection, run_id: int, before_id: int | None) -> list[dict[str, Any]]:
    now = scores.alias("now")
    stake = sa.func.coalesce(now.c.value_at_risk, 0.0) + sa.func.coalesce(now.c.value_gone, 0.0)
    query = (
        sa.select(now.c.play, sa.func.count(), sa.func.sum(stake))
        .where(now.c.run_id == run_id, now.c.play.is_not(None))
        .group_by(now.c.play)
    )
    rows = connection.execute(query).all()
    new: dict[str, int] = {}
    # runs of earlier versions have no plays, of which nobody is new to one
    has_plays = before_id is not None and (
        connection.scalar(
            sa.select(scores.c.run_id)
            .where(scores.c.run_id == before_id, scores.c.play.is_not(None))
            .limit(1)
        )
        is not None
    )
    if has_plays:
        before = scores.alias("before")
        same_customer = sa.and_(
            before.c.customer_id == now.c.customer_id, before.c.run_id == before_id
        )
        new_query = (
            sa.select(now.c.play, sa.func.count())
            .select_from(now.join(before, same_customer, isouter=True))
            .where(
                now.c.run_id == run_id,
                now.c.play.is_not(None),
                sa.func.coalesce(before.c.play, "") != now.c.play,
            )
            .group_by(now.c.play)
        )
        new = {row[0]: int(row[1]) for row in connection.execute(new_query)}
    counted = [
        {
            "play": row[0],
            "customers": int(row[1]),
            "stake": float(row[2]),
            "new": new.get(row[0], 0) if has_plays else None,
        }
        for row in rows
    ]
    return _with_money(connection, run_id, counted)


def _with_money(
    connection: sa.Connection, run_id: int, plays: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return plays with what is expected to be lost with their active customers, and what may
    return of their lapsed ones, the most money first.
    """
    c = scores.c
    of_active = sa.case((c.state == "active", c.value_at_risk))
    query = (
        sa.select(c.play, sa.func.sum(of_active), sa.func.sum(c.win_back))
        .where(c.run_id == run_id, c.play.is_not(None))
        .group_by(c.play)
    )
    money = {row[0]: (row[1], row[2]) for row in connection.execute(query)}
    result: list[dict[str, Any]] = []
    for play in plays:
        at_risk, may_return = money.get(play["play"], (None, None))
        result.append({**play, "value_at_risk": at_risk, "may_return": may_return})
    return sorted(
        result,
        key=lambda part: (
            -((part["value_at_risk"] or 0.0) + (part["may_return"] or 0.0)),
            -part["customers"],  # where no money ranks them
            part["play"],
        ),
    )


def _changed(connection: sa.Connection, run_id: int, before_id: int) -> dict[str, int]:
    now, before = scores.alias("now"), scores.alias("before")
    same_customer = sa.and_(before.c.customer_id == now.c.customer_id, before.c.run_id == before_id)
    parts = [condition(now.c, before.c) for condition in CHANGES.values()]
    row = connection.execute(
        sa.select(*(sa.func.sum(sa.case((part, 1), else_=0)) for part in parts))
        .select_from(now.join(before, same_customer))
        .where(now.c.run_id == run_id)
    ).one()
    return {name: int(value or 0) for name, value in zip(CHANGES, row, strict=True)}


def _grid(connection: sa.Connection, run_id: int) -> list[dict[str, Any]]:
    c = scores.c
    of_run = (c.run_id == run_id, c.clv.is_not(None), c.churn_band.is_not(None))
    number = int(connection.scalar(sa.select(sa.func.count()).where(*of_run)) or 0)
    if not number:
        return []
    limits = [
        connection.scalar(
            sa.select(c.clv)
            .where(*of_run)
            .order_by(c.clv.desc(), c.customer_id)
            .offset(min(int(share * number), number - 1))
            .limit(1)
        )
        for share in VALUE_SHARES
    ]
    value_class = sa.case((c.clv > limits[0], 0), (c.clv > limits[1], 1), else_=2)
    query = (
        sa.select(c.churn_band, value_class, c.play, sa.func.count(), sa.func.sum(c.value_at_risk))
        .where(*of_run)
        .group_by(c.churn_band, value_class, c.play)
    )
    by_cell: dict[tuple[str, int], list[Any]] = {}
    for band, place, *of_play in connection.execute(query):
        by_cell.setdefault((band, int(place)), []).append(of_play)
    return [
        {
            "band": band,
            "value_class": place,
            "customers": sum(int(customers) for _, customers, _ in plays),
            "value_at_risk": _sum([value for *_, value in plays]),
            **_largest(plays),
            "clv_above": limits[place] if place < len(limits) else None,
            "clv_at_most": limits[place - 1] if place else None,
        }
        for (band, place), plays in by_cell.items()
    ]


def _sum(values: Sequence[float | None]) -> float | None:
    """Return the sum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _largest(plays: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the most frequent play of a cell, None for no play, and how many customers have it.

    Parameters
    ----------
    plays
        Play, customers and money at risk; of plays with as many customers, the first by name.
    """
    play, customers, _ = min(plays, key=lambda part: (-part[1], part[0] is None, part[0] or ""))
    return {"play": play, "play_customers": int(customers)}
