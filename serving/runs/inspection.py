"""Data report of a log: rows read and refused, its quality, and what the models can do with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagecast.features.clock import microseconds
from stagecast.features.describe.quality import Quality, describe
from stagecast.features.events import EventLog
from stagecast.features.files import write_text
from stagecast.features.intake.report import DataReport, summary_lines
from stagecast.features.shop.events import clock_of, events_of
from stagecast.serving.reading import Reading
from stagecast.serving.runs.files import DATA_REPORT, REJECTED
from stagecast.training.config import TrainConfig
from stagecast.training.judging.readiness import readiness
from stagecast.training.judging.readiness.answer import Readiness

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Inspection:
    """The three parts of a data report.

    Parameters
    ----------
    report, quality, readiness
        The rows that were read, the log that they make, and what models can do with it.
    later_events
        Events that were not recorded at the as_of, which scores of that day do not know.
    """

    report: DataReport
    quality: Quality
    readiness: Readiness
    later_events: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return ``data-report.json``: the counts, then ``quality`` and ``readiness``."""
        return {
            **self.report.to_json(),
            "quality": self.quality.to_json(),
            "readiness": self.readiness.to_json(),
        }

    def for_summary(self) -> dict[str, Any]:
        """Return what the summary of a run holds: the counts, ``amounts``, ``notes`` and
        ``later_events``.
        """
        quality = self.quality.to_json()
        return {
            **self.report.to_json(),
            **{name: quality[name] for name in ("amounts", "notes")},
            "later_events": self.later_events,
        }

    def lines(self) -> list[str]:
        """Return the report as lines for people."""
        return [*summary_lines(self.report), "", *self.quality.lines(), "", *self.readiness.lines()]


def check(reading: Reading, config: TrainConfig, out: Path | None = None) -> Inspection:
    """Return the data report of a log, and write it where a folder is named.

    Parameters
    ----------
    config
        Settings of the training whose readiness is asked for.
    out
        Folder for ``data-report.json`` and ``rejected.parquet``; None writes nothing.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The log cannot be read, or the as_of or the horizon cannot be used.
    """
    with reading.open(command="check") as log:
        inspection = inspect(log, log.choose_as_of(reading.as_of), config)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            write_inspection(log, inspection, out)
    return inspection


def inspect(log: EventLog, as_of: datetime, config: TrainConfig) -> Inspection:
    """Return the data report of a log, with what a training at the as_of can do."""
    ready = readiness(log.con, as_of, config.horizon_days, config.churn, config.terms)
    quality = describe(log.con, log.report.currency)
    report = log.report.with_warnings(quality.warnings)
    return Inspection(report, quality, ready, _later_events(log.con, as_of))


def _later_events(con: duckdb.DuckDBPyConnection, as_of: datetime) -> int:
    """Return how many events were not recorded at the as_of; one that was announced was."""
    shop_as_of = microseconds(clock_of(con).shop(as_of))
    ((events,),) = con.execute(
        f"SELECT count(*) FROM {events_of(con)} "
        "WHERE epoch_us(coalesce(recorded_at, timestamp)) >= ?",
        [shop_as_of],
    ).fetchall()
    return int(events)


def write_inspection(log: EventLog, inspection: Inspection, folder: Path) -> None:
    """Write ``rejected.parquet``, then ``data-report.json``, each whole or not at all."""
    log.write_rejected(folder / REJECTED)
    write_text(
        folder / DATA_REPORT, json.dumps(inspection.to_json(), indent=1, ensure_ascii=False) + "\n"
    )
