"""The stage history and the flows of a large log: ``python -m bench.history [--customers 1000000]
[--events 3000000]``.

    made-up log -> Parquet -> read -> history (every spell, its rule) | flows | before and after

The peer is what one would write by hand in pandas for one half of the answer: sort the purchases of
each customer and take the gap to the next. It knows no rules, no thresholds, no silence and no
other events.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stagecast.features.clock import microseconds
from stagecast.features.describe.effectiveness import before_after
from stagecast.features.describe.flows import flows
from stagecast.features.events import read_events
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.commands.console import show, table
from stagecast.serving.runs.stage_table import history_table, stages_of
from stagecast.serving.runs.table_files import write_scores

KINDS = ("purchase", "purchase", "purchase", "visit", "enquiry", "cart", "signup", "review")
AS_OF = datetime(2024, 1, 1, tzinfo=UTC)
BEFORE_AFTER = datetime(2023, 1, 1, tzinfo=UTC)


def made_up(path: Path, customers: int, events: int) -> None:
    """Write a log of two years in which every customer has an event, and the rest fall on
    anybody.
    """
    random = np.random.default_rng(1)
    who = np.r_[np.arange(customers), random.integers(0, customers, max(events - customers, 0))]
    at = np.datetime64("2022-01-01", "us") + (random.random(len(who)) * 730 * 86_400e6).astype(
        "timedelta64[us]"
    )
    kind = random.choice(KINDS, len(who))
    amount = np.where(kind == "purchase", np.round(random.gamma(2.0, 20.0, len(who)), 2), np.nan)
    columns = {
        "customer_id": pa.array(np.char.add("c", np.char.zfill(who.astype(str), 7))),
        "timestamp": pa.array(at),
        "event": pa.array(kind),
        "amount": pa.array(amount, from_pandas=True),
    }
    pq.write_table(pa.table(columns), path)


def by_hand(path: Path) -> pd.DataFrame:
    """Return each purchase with the gap to the customer's next, as pandas does it."""
    frame = pd.read_parquet(path)
    bought = frame[frame["event"] == "purchase"].sort_values(["customer_id", "timestamp"])
    return bought.assign(to=bought.groupby("customer_id")["timestamp"].shift(-1))


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and result."""
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def main() -> None:
    """Print seconds of each part, and the whole as a ratio to the peer."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.history", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=3_000_000)
    chosen = parser.parse_args()
    rows = [["what", "seconds", "of the peer"]]
    with TemporaryDirectory(prefix="stagecast-bench-") as folder:
        path = Path(folder) / "log.parquet"
        made_up(path, chosen.customers, chosen.events)
        peer, _ = timed(lambda: by_hand(path))
        reading, log = timed(lambda: read_events(path))
        with log:
            target = Path(folder) / "history.parquet"
            for name in ("retail", "client7"):
                scheme = load_scheme(name)
                walking, stages = timed(
                    lambda scheme=scheme: stages_of(log, AS_OF, scheme, keep_facts=True)
                )
                writing, spells = timed(lambda stages=stages: history_table(stages))
                disk, _ = timed(lambda spells=spells: write_scores(spells, target))
                whole = reading + walking + writing + disk
                what = (
                    f"history, {name}: {len(spells):,} spells (reading the log "
                    f"{reading:.1f} s of it)"
                )
                rows.append([what, f"{whole:.1f}", f"{whole / peer:.2f}"])
            record, journeys = stages.life.record, stages.life.journeys
            at, customers = microseconds(AS_OF), len(record)
            moving, _ = timed(
                lambda: flows(journeys, record.days, customers, record.first_events, at)
            )
            rows.append(["flows, client7", f"{moving:.1f}", f"{moving / peer:.2f}"])
            date = microseconds(BEFORE_AFTER)
            comparing, _ = timed(
                lambda: before_after(
                    journeys, record.days, customers, record.first_events, None, date, at
                )
            )
            rows.append(
                ["before and after, client7", f"{comparing:.1f}", f"{comparing / peer:.2f}"]
            )
    rows.append(["peer: gaps by hand in pandas", f"{peer:.1f}", "1"])
    show(table(rows, {1, 2}))


if __name__ == "__main__":
    main()
