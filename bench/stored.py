"""A store of many customers: ``python -m bench.stored [--customers 1000000] [--scores FILE]``.

    scores of the demo, repeated with ids and amounts of their own -> published -> pages of 50

Publishing runs in a process of its own, whose processor time and memory are those of it alone. A
page is measured as the store answers it, in processor time, for each order and for filters that
many and that few customers pass.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stagecast.serving.commands.console import table

CHUNK = 50_000
VARIED = ("clv", "value_at_risk", "value_gone", "expected_spend", "expected_orders", "spend")
VARIED_SHARES = ("churn_probability", "p_inactive", "p_return", "churn_percentile")
ROUNDS = 15


def multiplied(source: Path, target: Path, customers: int) -> None:
    """Write scores of so many customers: those of a file again and again, none equal to another.

    Parameters
    ----------
    source
        Scores as ``stagecast run`` writes them.
    target
        The new file.
    customers
        How many it shall have.
    """
    scores = pq.read_table(source)
    draw = np.random.default_rng(18)
    with pq.ParquetWriter(target, scores.schema) as writer:
        for start in range(0, customers, CHUNK):
            rows = min(CHUNK, customers - start)
            part = scores.take(pa.array(draw.integers(0, scores.num_rows, rows)))
            ids = pa.array([f"C{number:09d}" for number in range(start, start + rows)])
            part = _with(part, "customer_id", ids)
            for names, low in ((VARIED, 0.5), (VARIED_SHARES, 0.9)):
                for name in names:
                    factor = pa.array(draw.uniform(low, 1.0, rows))
                    changed = pc.multiply(part[name].cast(pa.float64()), factor)
                    part = _with(part, name, changed.cast(part.schema.field(name).type, safe=False))
            writer.write_table(part)


def _with(part: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    place = part.schema.get_field_index(name)
    return part.set_column(place, part.schema.field(name), values)


def publish_alone(scores: str, url: str) -> None:
    """Publish a file, and print what that took, for :func:`main`, which starts this."""
    from stagecast.features.stages.scheme_files import load_scheme
    from stagecast.serving.store.publishing import publish
    from stagecast.serving.store.store import Store

    store = Store.open(url)
    taken = {"before_mb": _peak_mb()}
    begin, processor = time.perf_counter(), time.process_time()
    publish(store.engine, Path(scores), model_path="bench", scheme=load_scheme("retail"))
    taken["published"] = time.process_time() - processor
    run = store.current_run()
    assert run is not None
    store.overview(run)
    taken["processor"] = time.process_time() - processor
    taken["seconds"] = time.perf_counter() - begin
    store.close()
    sys.stdout.write(json.dumps({**taken, "peak_mb": _peak_mb()}))


def _peak_mb() -> float:
    # the peak of the system call counts what the parent had when it started this process
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


def page_rows(url: str) -> Iterator[list[str]]:
    """Yield the rows of the table of pages: how long the first page and a later one take."""
    from stagecast.serving.store.queries import SORTS, Filters, Order
    from stagecast.serving.store.store import Store

    store = Store.open(url)
    run = store.current_run()
    assert run is not None
    selections = {
        "all": Filters(),
        "medium band": Filters(band="medium"),
        "at_risk, high band": Filters(stages=("at_risk",), band="high"),
        "new, repeat; active": Filters(stages=("new", "repeat"), state="active"),
        "value at risk >= 100": Filters(min_value=100.0),
    }
    for sort in SORTS:
        for name, filters in selections.items():
            order = Order.parse(f"-{sort}")
            pages: list[float] = []
            counts: list[float] = []
            for _ in range(ROUNDS):
                begin = time.process_time()
                store.customers(run, filters, order)
                pages.append(time.process_time() - begin)
                begin = time.process_time()
                count = store.count(run, filters)
                counts.append(time.process_time() - begin)
                if sum(pages) + sum(counts) > 3.0:  # slow ones need no more rounds
                    break
            figures = [f"{1e3 * float(np.median(values)):.1f} ms" for values in (pages, counts)]
            yield [f"-{sort}", name, f"{count:,}", *figures]
    store.close()


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.stored")
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--scores", type=Path, help="scores of a run; default: of the demo")
    parser.add_argument("--store", help="URL of a new store; default: SQLite in a new folder")
    parser.add_argument("--folder", type=Path, help="where to write, and leave, the files")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stagecast-bench-") as name:
        folder = chosen.folder or Path(name)
        scores = chosen.scores
        if scores is None:
            command = [sys.executable, "-m", "stagecast", "demo"]
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
            scores = folder / "stagecast-demo" / "scores.parquet"
        large = folder / f"scores-{chosen.customers}.parquet"
        if not large.exists():
            multiplied(scores, large, chosen.customers)
        url = chosen.store or f"sqlite:///{folder / 'bench.db'}"
        alone = "import sys; from bench.stored import publish_alone; publish_alone(*sys.argv[1:])"
        command = [sys.executable, "-c", alone, str(large), url]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        taken = json.loads(done.stdout)
        file = folder / "bench.db"
        size = f", {file.stat().st_size / 1e6:,.0f} MB on disk" if file.exists() else ""
        sys.stdout.write(
            f"{chosen.customers:,} customers published: {taken['published']:.1f} s of processor "
            f"time, with the overview {taken['processor']:.1f} s ({taken['seconds']:.1f} s by the "
            f"clock); at most {taken['peak_mb']:.0f} MB, {taken['before_mb']:.0f} MB before"
            f"{size}\n\n"
        )
        sys.stdout.flush()
        head = ["order", "filters", "customers", "page of 50", "count"]
        sys.stdout.write("\n".join(table([head, *page_rows(url)], {2, 3, 4})) + "\n")


if __name__ == "__main__":
    main()
