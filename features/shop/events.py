"""The events of a log in shop time: a view beside the table ``events``, whose times are UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagecast.features.shop.clock import UTC_CLOCK, ShopClock, clock_named

if TYPE_CHECKING:
    import duckdb

ZONE_TABLE, SHOP_EVENTS = "shop_zone", "shop_events"
KNOWN = "epoch_us(greatest(timestamp, coalesce(recorded_at, timestamp)))"
"""DuckDB's SQL of when an event was known, in microseconds since 1970."""
LAST_HAPPENED = "max(least(timestamp, coalesce(recorded_at, timestamp)))"
"""SQL of the last time at which an event had happened, or had been announced."""


def create_shop_events(con: duckdb.DuckDBPyConnection, zone: str) -> None:
    """Note the zone, and create the view of ``events`` with times in shop time.

    There is no view where days are those of UTC.

    Parameters
    ----------
    con
        Database with the table ``events``.
    zone
        Zone whose days are counted.
    """
    clock = clock_named(zone)
    con.execute(f"create table {ZONE_TABLE} as select ? as zone", [zone])
    if clock.is_utc:
        return
    first, last = con.execute(
        "select least(min(epoch_us(timestamp)), min(epoch_us(recorded_at))), "
        "greatest(max(epoch_us(timestamp)), max(epoch_us(recorded_at))) from events"
    ).fetchall()[0]
    replaced = ", ".join(
        f"make_timestamp({clock.sql(f'epoch_us({name})', first, last, '({} >> 1)')}) as {name}"
        for name in ("timestamp", "recorded_at")
    )
    con.execute(
        f"create view {SHOP_EVENTS} as select rowid as row, * replace ({replaced}) from events"
    )


def clock_of(con: duckdb.DuckDBPyConnection) -> ShopClock:
    """Return the clock of the log that a database holds: UTC where no zone is noted."""
    from duckdb import CatalogException  # a server that runs names tables, and loads no DuckDB

    try:
        ((zone,),) = con.execute(f"select zone from {ZONE_TABLE}").fetchall()
    except CatalogException:  # a table ``events`` of the caller's own
        return UTC_CLOCK
    return clock_named(str(zone))


def events_of(con: duckdb.DuckDBPyConnection) -> str:
    """Return the name of the table or view with the events of a log in shop time."""
    return "events" if clock_of(con).is_utc else SHOP_EVENTS


def known_events_of(con: duckdb.DuckDBPyConnection, at: int) -> str:
    """Return the query of the events in shop time that were known before ``at``, with its name.

    Parameters
    ----------
    con
        Database of a log.
    at
        Microseconds since 1970, in shop time.
    """
    return f"(select * from {events_of(con)} where {KNOWN} < {at}) as known_events"
