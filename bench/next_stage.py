"""P(next stage) out of time, against the Markov chain on stages: ``python -m bench.next_stage
[ONLINE_RETAIL_II]``.

Each training sees the events before a date and is judged on the 90 days after it; the chain is
fitted on the same panel. CDNOW comes with lifetimes; Online Retail II (UCI, CC BY 4.0) is read from
a Parquet file where there is one. Exits with 1 where the log loss is less than a tenth below the
chain's, or a stage's calibration error is above 0.03.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
import pandas as pd

from stagecast.features.clock import parse_instant
from stagecast.features.demo import cdnow_frame
from stagecast.features.errors import StagecastError
from stagecast.features.events import ReadOptions, from_frame
from stagecast.serving.commands.console import show, table
from stagecast.training.config import TrainConfig
from stagecast.training.train import train

ONLINE_RETAIL = Path(__file__).parents[2] / "shared" / "data" / "online_retail_ii.parquet"
# the training's own evaluation stands one horizon before these
AS_OFS = {
    "CDNOW": ("1998-01-01", "1998-04-01", "1998-07-01"),
    "Online Retail II": ("2011-06-01", "2011-09-01", "2011-12-01"),
}
BELOW_CHAIN, CALIBRATION = 0.9, 0.03


def online_retail(path: Path) -> pd.DataFrame:
    """Return the purchases of known customers."""
    frame = pd.read_parquet(path)
    sold = (
        frame["Customer ID"].notna()
        & ~frame["Invoice"].astype(str).str.startswith("C")
        & (frame["Price"] > 0)
    )
    frame = frame[sold]
    return pd.DataFrame(
        {
            "customer_id": frame["Customer ID"].astype(str),
            "timestamp": pd.to_datetime(frame["InvoiceDate"]),
            "amount": (frame["Quantity"] * frame["Price"]).round(2),
        }
    )


def logs(path: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the logs there are."""
    yield "CDNOW", cdnow_frame()[["customer_id", "timestamp", "amount"]]
    if path.is_file():
        yield "Online Retail II", online_retail(path)
    else:
        click.echo(f"{path} is not there: Online Retail II is left out", err=True)


def judged(name: str, frame: pd.DataFrame, scheme: str) -> Iterator[list[str]]:
    """Yield one line per date."""
    with from_frame(frame, ReadOptions(duplicates="keep")) as log:
        for text in AS_OFS[name]:
            as_of: datetime = parse_instant(text)
            evaluation = train(log.con, as_of, TrainConfig(scheme=scheme)).evaluation
            if evaluation is None:
                raise StagecastError(f"{name} is too young at {text}")
            ours, chain = evaluation.next_stage
            ratio, error = ours.log_loss / chain.log_loss, ours.calibration_error
            passed = "yes" if ratio <= BELOW_CHAIN and error <= CALIBRATION else "NO"
            losses = [f"{method.log_loss:.4f}" for method in (ours, chain)]
            yield [name, scheme, evaluation.as_of, *losses, f"{ratio:.3f}", f"{error:.4f}", passed]


def main() -> None:
    """Print the table; exit with 1 where the default scheme misses its mark."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ONLINE_RETAIL
    rows = [
        [
            "log",
            "scheme",
            "from",
            "log loss",
            "Markov chain",
            "ratio",
            "calibration error",
            "passed",
        ]
    ]
    for name, frame in logs(path):
        rows += judged(name, frame, "retail")
    show(table(rows, {3, 4, 5, 6}))
    if any(row[-1] == "NO" for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
