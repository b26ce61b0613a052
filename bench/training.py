"""A whole training at a size: ``python -m bench.training [--customers 1000000] [--dates 3]``.

    simulated log -> checked log -> two trainings, evaluation, intervals
                                  | one plain LightGBM fit on the same rows

The peer has its rows ready-made: those of all past dates, each with the columns that our trees see.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import lightgbm
import numpy as np

from bench.__main__ import Line
from bench.features import shown, write_log
from bench.simulation import AS_OF
from stagecast.features.events import ReadOptions, read_events
from stagecast.serving.commands.console import table
from stagecast.training.config import TrainConfig
from stagecast.training.panel import learnable, stack, varying
from stagecast.training.train import train


def main() -> None:
    """Measure one training and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--dates", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stagecast-bench-") as name:
        path = Path(name) / "log.parquet"
        events = write_log(path, chosen.customers)
        with read_events(path, ReadOptions(duplicates="keep")) as log:
            began = time.perf_counter()
            done = train(
                log.con, AS_OF, TrainConfig(max_dates=chosen.dates), lambda step: shown(step, began)
            )
            ours = time.perf_counter() - began
    dates = done.panel.dates
    columns = stack(dates)
    names = learnable(dates, varying(dates, list(columns)))
    rows = np.column_stack([columns[name] for name in names])
    target = np.concatenate([frame.inactive for frame in dates])
    began = time.perf_counter()
    lightgbm.train({"objective": "binary", "verbosity": -1}, lightgbm.Dataset(rows, label=target))
    peer = time.perf_counter() - began
    what = (
        f"training on {chosen.customers:,} customers, {events:,} purchases, {len(dates)} past dates"
    )
    peer_is = (
        f"one LightGBM with its defaults on the same {len(target):,} rows of {len(names)} columns"
    )
    lines = [
        ["what", "stagecast", "peer", "ratio", "the peer is"],
        Line(what, ours, peer, "s", peer_is).cells(),
    ]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    sys.stdout.write("\n".join(table(lines, {1, 2, 3})) + f"\npeak memory {memory:.1f} GB\n")


if __name__ == "__main__":
    main()
