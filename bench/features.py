"""Features at a size: ``python -m bench.features [--customers 1000000] [--spark]``.

    simulated log, as Parquet -> checked log -> RFM | the whole catalogue | a panel of dates
        -> a customer-base fit | a batch of scores | one customer, a thousand in memory | Spark

Each figure stands beside a peer on the same data in the same run; what reads the log from Parquet
is measured on its own. The features are worked out part by part, and each part is dropped, or
written, before the next.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.__main__ import Line, best, fit_line, lifetimes_summary, trained
from bench.simulation import AS_OF, simulate
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.standard import standard
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.larger_than_memory import (
    PARTS_AHEAD,
    ROWS_PER_PART,
    daily_tables,
    row_ranges,
    shop_gap_of,
    write_features,
)
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.events import EventLog, ReadOptions, read_events
from stagecast.features.files.in_order import Range, map_in_order
from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.commands.console import table

AT_ONCE = 1_000_000
RFM = ("frequency", "t_x_days", "T_days", "recency_days", "monetary")
PANEL = (0, 90, 120, 150, 180, 210)
BARE = (
    "select customer_id, count(*), min(timestamp), max(timestamp), sum(amount) from '{}' group by 1"
)


def write_log(path: Path, customers: int) -> int:
    """Write the simulated log of so many customers, a million at a time; return the events."""
    events, writer = 0, None
    for start in range(0, customers, AT_ONCE):
        frame = simulate(min(AT_ONCE, customers - start), seed=20110901 + start)
        frame["customer_id"] = f"{start // AT_ONCE:03}" + frame["customer_id"]
        part = pa.Table.from_pandas(frame, preserve_index=False)
        instants = part["timestamp"].cast(pa.timestamp("us", "UTC"))
        part = part.set_column(1, "timestamp", instants)
        writer = writer or pq.ParquetWriter(path, part.schema)
        writer.write_table(part)
        events += len(part)
    if writer is not None:
        writer.close()
    return events


def in_parts(log: EventLog, catalog: Catalog, backs: Sequence[int] = (0,)) -> int:
    """Work out the features of every customer, part by part; return the rows."""

    def rows(part: Range) -> int:
        return sum(
            len(table.features(catalog, backs)["customer"])
            for table in daily_tables(log, AS_OF, [part])
        )

    return sum(map_in_order(rows, list(row_ranges(log.con, ROWS_PER_PART)), PARTS_AHEAD))


def shown(what: str, began: float) -> None:
    """Say how long a step took that has no peer."""
    sys.stdout.write(f"{what}: {time.perf_counter() - began:.1f} s\n")
    sys.stdout.flush()


def batch_lines(folder: Path, log: EventLog) -> list[Line]:
    """Measure the models alone, and whole scores without reasons, against the bare boosters on
    the same rows.
    """
    from stagecast.serving.scoring.batch import snapshot
    from stagecast.serving.scoring.scorer import Scorer
    from stagecast.training.columns import buyer_columns
    from stagecast.training.models import predict

    bundle = trained(folder).bundle
    now, cutoff = snapshot(log, bundle, AS_OF)
    models = bundle.models
    columns = buyer_columns(
        now.features, np.flatnonzero(now.buyers), models.base, models.config.horizon_days
    )
    ensembles = (models.churn.trees, models.next_stage.trees, *models.value.trees.values())
    boosters = [boosted for boosted in ensembles if boosted is not None]
    matrices = [boosted.matrix(columns) for boosted in boosters]

    def bare() -> None:
        for boosted, rows in zip(boosters, matrices, strict=True):
            boosted.booster.predict(rows, raw_score=True)

    peer, _ = best(bare, 1)
    ours, _ = best(lambda: predict(models, now), 1)
    scorer = Scorer(bundle, threads=0, with_reasons=False)
    whole, _ = best(lambda: scorer.score(now, cutoff), 1)
    name = f"Booster.predict of the {len(boosters)} ensembles, one after the other"
    return [
        Line(f"all models, {len(now):,} snapshot rows", ours, peer, "s", name),
        Line("the same as scores of the contract, without reasons", whole, peer, "s", name),
    ]


def request_lines() -> None:
    """Measure the features of customers in memory, from their events on."""
    catalog = standard(90).with_parameters(shop_gap_days=30.0)
    sixty = Catalog(catalog.features[:60], catalog.parameters)
    draw = np.random.default_rng(7)
    as_of = datetime(2020, 6, 1, tzinfo=UTC)

    def customer(events: int) -> CustomerEvents:
        ago = draw.integers(1, 900 * 86_400, events)
        return CustomerEvents(
            "a", tuple(Event(as_of - timedelta(seconds=int(s)), "purchase", 9.99) for s in ago)
        )

    single, thousand = [customer(50)], [customer(30) for _ in range(1000)]
    for what, asked, customers, times in (
        ("60 features of one customer with 50 events", sixty, single, 2000),
        (f"{len(catalog.names)} features of one customer with 50 events", catalog, single, 2000),
        ("60 features of 1,000 customers with 30 events", sixty, thousand, 20),
        (f"{len(catalog.names)} features of 1,000 customers with 30 events", catalog, thousand, 20),
    ):
        evaluator = Evaluator(asked)
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            evaluator.features(MemoryEvents(customers, as_of))
            taken.append(time.perf_counter() - began)
        sys.stdout.write(f"{what}: {np.median(taken) * 1e3:.3g} ms (median of {times})\n")


def on_spark(path: Path, out: Path, here: Callable[[], Any]) -> Line:
    """Measure the same job, Parquet to Parquet, on Spark in local mode and on DuckDB."""
    from stagecast.features.engines.spark import table as engine
    from stagecast.features.engines.spark.reading import read as read_events_on_spark

    session = engine.session("local[*]", {"spark.driver.memory": "8g"})
    began = time.perf_counter()
    log = read_events_on_spark(session, [str(path)], {}, duplicates="keep")
    table = engine.SparkTable(session, log.events, AS_OF)
    catalog = standard(90).with_parameters(shop_gap_days=table.shop_gap_days())
    table.features(catalog, [0]).write.parquet(str(out))
    taken = time.perf_counter() - began
    session.stop()
    began = time.perf_counter()
    here()
    return Line(
        "Spark, local[*]: Parquet to features",
        taken,
        time.perf_counter() - began,
        "s",
        "the same on DuckDB",
    )


def peak_gb(path: Path, out: Path) -> float:
    """Return the peak memory in GB of a process that reads the log and writes the features of
    every customer.
    """
    script = (
        "import sys; from pathlib import Path; from bench.features import whole; "
        "whole(Path(sys.argv[1]), "
        "Path(sys.argv[2])); print(Path('/proc/self/status').read_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path, out], capture_output=True, text=True, check=True
    )
    return float(re.findall(r"VmHWM:\s+(\d+)", done.stdout)[0]) / 1e6


def whole(path: Path, out: Path) -> None:
    """Read a log and write the features of every customer."""
    with read_events(path, ReadOptions(duplicates="keep")) as log:
        write_features(log, AS_OF, standard(90), out)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument(
        "--spark", action="store_true", help="the same job on Spark in local mode, too"
    )
    parser.add_argument("--only", choices=["features"], help="the catalogue at one date alone")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stagecast-bench-") as name:
        folder = Path(name)
        path = folder / "log.parquet"
        events = write_log(path, chosen.customers)
        sys.stdout.write(f"{chosen.customers:,} customers, {events:,} purchases, simulated\n\n")
        query = BARE.format(path)
        bare, _ = best(lambda: duckdb.connect().sql(query).to_arrow_table())
        began = time.perf_counter()
        log = read_events(path, ReadOptions(duplicates="keep"))
        shown("reading and checking the log", began)
        began = time.perf_counter()
        catalog = standard(90).with_parameters(
            shop_gap_days=shop_gap_of(log, AS_OF, list(row_ranges(log.con, ROWS_PER_PART)))
        )
        shown("the shop's usual gap", began)
        times = 1 if chosen.customers > AT_ONCE else 2
        one_date, _ = best(lambda: in_parts(log, catalog), times)
        lines = [
            Line(
                f"{len(catalog.names)} features at one date",
                one_date,
                bare,
                "s",
                "one bare group-by in DuckDB",
            )
        ]
        if chosen.only is None:
            panel, _ = best(lambda: in_parts(log, catalog, PANEL), 1)
            what = f"the same at {len(PANEL)} dates"
            lines.append(Line(what, panel, one_date, "s", "the one date"))
            rfm, _ = best(lambda: in_parts(log, catalog.needed_for(RFM)), times)
            frame = pq.read_table(path).to_pandas()
            lifetimes_summary(frame.head(100))  # the import is not what is measured
            peer, _ = best(lambda: lifetimes_summary(frame), 1)
            del frame
            lines.append(
                Line(
                    "RFM of every customer",
                    rfm,
                    peer,
                    "s",
                    "lifetimes summary_data_from_transaction_data",
                )
            )
            (rfm_columns,) = (
                all_at.features(catalog.needed_for(RFM), [0])
                for all_at in daily_tables(log, AS_OF, [(0, events)])
            )
            lines += [fit_line(rfm_columns), *batch_lines(folder / "model", log)]
            request_lines()
        log.close()
        began = time.perf_counter()
        memory = peak_gb(path, folder / "features")
        shown(
            (
                "log to features as a folder of Parquet, in a process of its own, "
                f"{memory:.2f} GB at the peak"
            ),
            began,
        )
        if chosen.spark:
            lines.append(on_spark(path, folder / "on_spark", lambda: whole(path, folder / "again")))
    rows = [
        ["what", "stagecast", "peer", "ratio", "the peer is"],
        *(line.cells() for line in lines),
    ]
    sys.stdout.write("\n" + "\n".join(table(rows, {1, 2, 3})) + "\n")


if __name__ == "__main__":
    main()
