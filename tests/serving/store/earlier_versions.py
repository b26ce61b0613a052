"""Stores as earlier versions of stagecast made them: their tables and indices, in SQL.

The statements are those of that time and do not follow the code: a store of version 4 stays what it
was. Rows are copied into it from a store of this version, as far as it has their columns.
"""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

VERSIONS = (1, 2, 3, 4, 5, 6, 7)
_RANKED = "(run_id, {column} DESC, customer_id, stage, state, churn_band)"
_SUMMED = ("churn_probability", "value_at_risk", "value_gone", "win_back", "clv", "spend")
_LISTED = {
    **dict.fromkeys(
        (
            "value_at_risk",
            "value_gone",
            "win_back",
            "churn_probability",
            "churn_percentile",
            "p_inactive",
            "clv",
            "expected_spend",
            "expected_orders",
            "recency_days",
            "tenure_days",
            "spend",
            "loss_per_week",
        ),
        "FLOAT",
    ),
    "next_order_date": "VARCHAR(10)",
    "window_closes": "VARCHAR(10)",
    "orders": "BIGINT",
}
"""Column of a list of version 6 -> its type."""

STEPS: dict[int, tuple[str, ...]] = {
    1: (
        "CREATE TABLE store_version (version INTEGER NOT NULL, PRIMARY KEY (version))",
        "CREATE TABLE runs (id {number}, as_of {instant} NOT NULL, horizon_days INTEGER NOT NULL, "
        "data_cutoff {instant} NOT NULL, model_version VARCHAR NOT NULL, "
        "model_path VARCHAR NOT NULL, scheme_id VARCHAR NOT NULL, scheme JSON NOT NULL, "
        "created_at {instant} NOT NULL, published_at {instant}, customers BIGINT NOT NULL)",
        "CREATE TABLE scores (run_id INTEGER NOT NULL, customer_id {id} NOT NULL, "
        "state VARCHAR NOT NULL, stage VARCHAR NOT NULL, churn_band VARCHAR, "
        "churn_probability FLOAT, churn_percentile FLOAT, p_inactive FLOAT, "
        "next_stage VARCHAR NOT NULL, value_at_risk FLOAT, clv FLOAT, expected_orders FLOAT, "
        "expected_spend FLOAT, next_order_date VARCHAR(10), recency_days FLOAT, "
        "tenure_days FLOAT NOT NULL, orders BIGINT NOT NULL, spend FLOAT, "
        "PRIMARY KEY (run_id, customer_id), FOREIGN KEY (run_id) REFERENCES runs (id)) {end}",
        "CREATE INDEX scores_by_customer ON scores (customer_id, run_id)",
        "CREATE INDEX scores_by_risk ON scores " + _RANKED.format(column="value_at_risk"),
        "CREATE INDEX scores_by_probability ON scores "
        + _RANKED.format(column="churn_probability"),
        "CREATE INDEX scores_by_clv ON scores " + _RANKED.format(column="clv"),
        "CREATE INDEX scores_by_stage ON scores "
        "(run_id, stage, value_at_risk DESC, customer_id, clv)",
        "CREATE TABLE documents (run_id INTEGER NOT NULL, customer_id {id} NOT NULL, "
        "score TEXT NOT NULL, PRIMARY KEY (run_id, customer_id), "
        "FOREIGN KEY (run_id) REFERENCES runs (id))",
    ),
    2: (
        "ALTER TABLE scores ADD COLUMN value_gone FLOAT",
        "ALTER TABLE scores ADD COLUMN win_back FLOAT",
        "CREATE INDEX scores_by_win_back ON scores " + _RANKED.format(column="win_back"),
    ),
    3: (
        "ALTER TABLE scores ADD COLUMN play VARCHAR",
        "CREATE TABLE plans (id {number}, name {id} NOT NULL UNIQUE, owner VARCHAR NOT NULL, "
        "state VARCHAR NOT NULL, run_id INTEGER NOT NULL, as_of {instant} NOT NULL, "
        "starts_at {instant} NOT NULL, window_days INTEGER NOT NULL, "
        "created_at {instant} NOT NULL, frozen_at {instant}, sent_at {instant}, sent_by VARCHAR, "
        "request JSON NOT NULL, proposal JSON NOT NULL, digest VARCHAR)",
        "CREATE TABLE profiles (customer_id {id} NOT NULL, name VARCHAR, "
        "email_sha256 VARCHAR(64), contact_key VARCHAR, consent BOOLEAN, do_not_contact BOOLEAN, "
        "channel VARCHAR, country VARCHAR, attributes JSON NOT NULL, "
        "updated_at {instant} NOT NULL, PRIMARY KEY (customer_id)) {end}",
        "CREATE TABLE contacts (customer_id {id} NOT NULL, contacted_at {instant} NOT NULL, "
        "source VARCHAR NOT NULL, PRIMARY KEY (customer_id, contacted_at)) {end}",
        "CREATE INDEX contacts_by_time ON contacts (contacted_at, customer_id)",
        "CREATE TABLE settled (id {number}, run_id INTEGER NOT NULL UNIQUE, "
        "settled_at {instant} NOT NULL, body TEXT NOT NULL, previous_hash VARCHAR(64) NOT NULL, "
        "hash VARCHAR(64) NOT NULL)",
    ),
    4: ("ALTER TABLE runs ADD COLUMN zone VARCHAR",),
    5: (
        "ALTER TABLE runs ADD COLUMN currency VARCHAR",
        "ALTER TABLE runs ADD COLUMN overview JSON",
        "ALTER TABLE scores ADD COLUMN method VARCHAR",
        "ALTER TABLE scores ADD COLUMN loss_per_week FLOAT",
        "ALTER TABLE scores ADD COLUMN window_closes VARCHAR(10)",
        "CREATE TABLE server_secrets (name VARCHAR(40) NOT NULL, value VARCHAR(64) NOT NULL, "
        "PRIMARY KEY (name))",
        "CREATE TABLE erasure_notes (id VARCHAR(32) NOT NULL, customer_hash VARCHAR(64) NOT NULL, "
        "erased_at {instant} NOT NULL, PRIMARY KEY (id))",
    ),
    6: (
        *(
            f"DROP INDEX scores_by_{name}"
            for name in ("customer", "risk", "probability", "clv", "stage", "win_back")
        ),
        "CREATE TABLE run_lists (run_id INTEGER NOT NULL, begun_at {instant} NOT NULL, "
        "built_at {instant}, PRIMARY KEY (run_id))",
        "CREATE TABLE segments (run_id INTEGER NOT NULL, stage VARCHAR NOT NULL, "
        "state VARCHAR NOT NULL, churn_band VARCHAR NOT NULL, play VARCHAR NOT NULL, "
        "segment INTEGER NOT NULL, customers BIGINT NOT NULL, "
        + ", ".join(f"{name}_sum FLOAT NOT NULL, {name}_count BIGINT NOT NULL" for name in _SUMMED)
        + ", PRIMARY KEY (run_id, stage, state, churn_band, play)) {end}",
        "CREATE TABLE stage_flows (run_id INTEGER NOT NULL, earlier_run_id INTEGER NOT NULL, "
        "from_stage VARCHAR NOT NULL, to_stage VARCHAR NOT NULL, customers BIGINT NOT NULL, "
        "PRIMARY KEY (run_id, earlier_run_id, from_stage, to_stage)) {end}",
        *(
            f"CREATE TABLE list_{run} (position INTEGER NOT NULL, "
            "customer_id {id} NOT NULL, segment INTEGER NOT NULL, "
            + ", ".join(f"{name} {kind}" for name, kind in _LISTED.items())
            + ", PRIMARY KEY (position))"
            for run in (1, 2)
        ),
    ),
    7: ("ALTER TABLE scores ADD COLUMN days_overdue FLOAT",),
    8: (
        "CREATE TABLE timelines (run_id INTEGER NOT NULL, customer_id {id} NOT NULL, "
        "events TEXT NOT NULL, PRIMARY KEY (run_id, customer_id), "
        "FOREIGN KEY (run_id) REFERENCES runs (id)) {end}",
        "ALTER TABLE profiles ADD COLUMN name_key {id}",
        "CREATE INDEX profiles_by_name ON profiles (name_key, customer_id)",
    ),
}
"""Version -> what it added to the version before."""
_WORDS = {
    "sqlite": {
        "number": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
        "instant": "DATETIME",
        "id": "VARCHAR",
        "end": "WITHOUT ROWID",
    },
    "postgresql": {
        "number": "SERIAL PRIMARY KEY",
        "instant": "TIMESTAMP WITHOUT TIME ZONE",
        "id": 'VARCHAR COLLATE "C"',
        "end": "",
    },
}


_MADE: dict[tuple[str, int], sa.MetaData] = {}
"""(Database, version) -> the tables of a store that was made."""


@cache
def _tables_of(source: sa.Engine) -> sa.MetaData:
    found = sa.MetaData()
    found.reflect(source)
    return found


def make_earlier(url: str, version: int, source: sa.Engine) -> None:
    """Make a store of an earlier version, with the rows of another.

    Parameters
    ----------
    url
        An empty database.
    version
        Version of the store.
    source
        A store of this version; tables and columns that the earlier one has not are left out.
    """
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    words = _WORDS[engine.dialect.name]
    with engine.begin() as connection:
        for step in range(1, version + 1):
            for statement in STEPS[step]:
                connection.exec_driver_sql(statement.format(**words))
        connection.exec_driver_sql(f"INSERT INTO store_version VALUES ({version})")
    with source.connect() as origin, engine.begin() as connection:
        full = _tables_of(source)
        # of one version and database all have the same tables
        made = _MADE.setdefault((engine.dialect.name, version), sa.MetaData())
        if not made.tables:
            made.reflect(connection)
        for table in made.sorted_tables:
            if table.name == "store_version":
                continue
            columns = [full.tables[table.name].c[column.name] for column in table.columns]
            rows = origin.execute(sa.select(*columns)).mappings().all()
            if rows:
                connection.execute(table.insert(), [dict(row) for row in rows])
        if engine.dialect.name == "postgresql":
            for name in ("runs", "plans", "settled"):
                if name in made.tables:
                    connection.exec_driver_sql(
                        f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), "
                        f"(SELECT coalesce(max(id), 1) FROM {name}))"
                    )
    engine.dispose()


def columns_since(version: int) -> dict[str, list[str]]:
    """Return table -> columns that later versions than this added to it."""
    later: dict[str, list[str]] = {}
    for step in range(version + 1, max(STEPS) + 1):
        for statement in STEPS[step]:
            if statement.startswith("ALTER"):
                words = statement.split()
                later.setdefault(words[2], []).append(words[5])
    return later
