"""How many customers are expected on each stage at the end of the horizon: sums over a run.

The probabilities stand in the documents alone, so they are added up while a run is published.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import sqlalchemy as sa

from stagecast.serving.store.evidence import evidence

FORECAST = "forecast"
"""Kind under which the sums are stored beside a run."""
_OF_STAGE = "p_stage_"


def add_up(sums: Mapping[str, float], chunk: pa.Table) -> dict[str, float]:
    """Return stage -> customers expected on it, with those of a chunk of scores.

    Parameters
    ----------
    sums
        Of the chunks before.
    chunk
        Scores with the columns of the contract, of which every number is finite.
    """
    import pyarrow.compute as pc

    return {
        stage: sums.get(stage, 0.0) + (pc.sum(chunk[name]).as_py() or 0.0)
        for name in chunk.column_names
        if name.startswith(_OF_STAGE)
        for stage in (name.removeprefix(_OF_STAGE),)
    }


def store_forecast(connection: sa.Connection, run_id: int, sums: Mapping[str, float]) -> None:
    """Store the sums of a run that has none yet."""
    connection.execute(evidence.insert().values(run_id=run_id, kind=FORECAST, body=dict(sums)))


def stored_forecast(connection: sa.Connection, run_id: int) -> dict[str, float] | None:
    """Return the sums of a run; None: it was published by an earlier version."""
    query = sa.select(evidence.c.body).where(
        evidence.c.run_id == run_id, evidence.c.kind == FORECAST
    )
    body = connection.scalar(query)
    return None if body is None else {stage: float(value) for stage, value in body.items()}
