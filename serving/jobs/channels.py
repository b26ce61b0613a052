"""Customers by what they were first seen in, worked out, written and stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import sqlalchemy as sa

from stagecast.features.clock import iso
from stagecast.features.describe.channels.costs import Costs, costs_of_rows
from stagecast.features.describe.channels.table import ChannelTable
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.progress import Steps, silently
from stagecast.serving.reading import Reading
from stagecast.serving.requests import ChannelsRequest
from stagecast.serving.runs.channels import Standings, channels_of
from stagecast.serving.runs.models import model_folder
from stagecast.serving.runs.table_files import check_targets, write_scores
from stagecast.serving.scoring.batch import snapshot
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.serving.settings import load_settings
from stagecast.serving.store.channels import store_channels
from stagecast.serving.store.kept_costs import KeptCost, kept_costs
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.uploads import read_upload

STEPS = 3
_SCORE_COLUMNS = ("customer_id", "as_of", "clv", "state")


@dataclass(frozen=True)
class Channels:
    """Customers by what they were first seen in.

    Parameters
    ----------
    table
        The groups and their cohorts.
    kept
        What a kept customer cost in the plans that are over.
    out
        File that was written; None: none was.
    """

    table: ChannelTable
    kept: tuple[KeptCost, ...]
    out: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            **self.table.to_json(),
            "keeping": [cost.to_json() for cost in self.kept],
            "out": None if self.out is None else str(self.out),
        }


def make_channels(
    reading: Reading, request: ChannelsRequest, *, steps: Steps = silently
) -> Channels:
    """Work out the customers of a log by what they were first seen in; write and store the table
    where that is asked for.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The log, the model, the scores or the costs cannot be read, nothing can be grouped, or the
        published scores are of another as_of.
    """
    check_targets(out=request.out)
    if request.model is not None and request.scores is not None:
        raise UsageError("--model and --scores both say what customers are worth; give one of them")
    settings = load_settings(store=request.store, tracking_uri=request.tracking_uri)
    scorer = None
    if request.model is not None:
        scorer = load_scorer(model_folder(request.model, settings), threads=0, with_reasons=False)
        reading = reading.counting_days_of(scorer.bundle.clock.zone)
    margin = request.margin
    if margin is None:
        margin = 1.0 if scorer is None else scorer.bundle.models.config.margin
    costs = _costs(request)
    with reading.open(request.out, command="channels") as log, steps(STEPS) as say:
        as_of = log.choose_as_of(reading.as_of)
        say("scores")
        standings = None
        if scorer is not None:
            now, cutoff = snapshot(log, scorer.bundle, as_of)
            scored = scorer.score(now, cutoff, has_amounts=log.has_amounts)
            standings = Standings.of_scores(scored)
        elif request.scores is not None:
            standings = _read_scores(request.scores, log.clock.instant(as_of))
        say("channels")
        table = channels_of(
            log,
            as_of,
            standings,
            by=request.by,
            costs=costs,
            cost_events=request.cost_events,
            margin=margin,
            unit=request.period,
        )
        instant = log.clock.instant(as_of)
    if request.out is not None:
        write_scores(table.to_table(), request.out)
    say_store = request.publish or request.store is not None or _is_there(settings.store)
    kept_costs = _with_store(settings.store, request, table, instant) if say_store else ()
    return Channels(table, kept_costs, request.out)


def _with_store(
    url: str, request: ChannelsRequest, table: ChannelTable, as_of: datetime
) -> tuple[KeptCost, ...]:
    """Store the table if that is asked for, and return what kept customers cost."""
    store = Store.open(url)
    try:
        if request.publish:
            run = store.current_run()
            if run is None or run.as_of != as_of:
                published = "nothing is published" if run is None else f"they are of {run.as_of}"
                raise UsageError(
                    f"--publish puts the table beside published scores of {iso(as_of)}, and "
                    f"{published}: publish those first, with `stagecast score --publish`, or give "
                    "--as-of"
                )
            store_channels(store.engine, run.id, table.by, table.to_json())
        return tuple(kept_costs(store.engine))
    finally:
        store.close()


def _is_there(url: str) -> bool:
    """Tell whether a store is there, since to look at plans must not make one."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return True
    return bool(parsed.database) and Path(str(parsed.database)).is_file()


def _costs(request: ChannelsRequest) -> Costs:
    if request.spend is None:
        return Costs()
    rows = read_upload(request.spend, required=(request.by, "from", "cost"))
    return costs_of_rows(rows, request.by, str(request.spend))


def _read_scores(path: Path, as_of: datetime) -> Standings:
    try:
        if path.suffix == ".csv":
            types = {"customer_id": pa.string(), "clv": pa.float64(), "state": pa.string()}
            options = pyarrow.csv.ConvertOptions(column_types=types)
            table = pyarrow.csv.read_csv(path, convert_options=options)
        else:
            table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"--scores {path} cannot be read: {error}") from None
    missing = [name for name in _SCORE_COLUMNS if name not in table.column_names]
    if missing:
        raise DataRefusedError(
            f"--scores {path} has no column {missing[0]}; give what `stagecast score` wrote"
        )
    at = pc.unique(table["as_of"]).cast(pa.timestamp("us", tz="UTC")).to_pylist()
    if at != [as_of]:
        dates = ", ".join(iso(instant) for instant in at[:3]) or "nobody"
        raise UsageError(
            f"--scores {path} are of {dates}, and the log stands at {iso(as_of)}: give that "
            "--as-of, or score the log anew"
        )
    return Standings.of_scores(table)
