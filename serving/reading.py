"""What is read, and how, in one value: files, databases or tables, by DuckDB here or on Spark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.errors import UsageError
from stagecast.features.intake.options import ReadOptions

if TYPE_CHECKING:
    from datetime import datetime

    from stagecast.features.catalog.own import OwnFeatures
    from stagecast.features.engines.spark.reading import SparkLog
    from stagecast.features.events import EventLog
    from stagecast.features.intake.attributes import CustomersTable
    from stagecast.features.intake.tables import Table

_NOT_ON_SPARK = (
    "event_id",
    "currency",
    "product",
    "time_format",
    "report_currency",
    "rates",
    "where",
    "refuse",
    "flag",
    "test_customers",
    "not_products",
    "max_rejected",
    "currency_sign",
)
"""Options that change what is loaded, and that Spark's own reader does not know."""
_OF_TEXT_FILES = ("encoding", "separator", "header_line", "decimal", "thousands")
"""Options that say how text files are written."""


@dataclass(frozen=True)
class Spark:
    """Where Spark runs, and how it is set.

    Parameters
    ----------
    master
        URL of the cluster; ``local[*]`` is this machine.
    settings
        Name of a setting of Spark -> its value, such as ``spark.executor.memory`` -> ``8g``.
    """

    master: str = "local[*]"
    settings: Mapping[str, str] = field(default_factory=dict)


def _nothing_own() -> OwnFeatures:
    from stagecast.features.catalog.own import OwnFeatures  # the catalogue is slow to import

    return OwnFeatures()


@dataclass(frozen=True)
class Reading:
    """What is read, and how; nothing is read before it is opened.

    Parameters
    ----------
    sources
        CSV or Parquet files, globs, folders or URLs of databases; several are one log. With
        ``spark``: folders of Parquet or Delta, or ``table:NAME``.
    tables
        Tables with a mapping each, as one log; read where there are no ``sources``.
    options
        How each row is read, and the as_of that was asked for.
    customers
        Where attributes of customers stand; None: nowhere.
    own
        Features beside those of the standard catalogue.
    spark
        Where Spark reads the log; None: DuckDB does, on this machine.
    frames
        pandas, Arrow or Polars tables, read as one log where there are neither of the above.

    >>> reading = Reading(("shop.csv",), options=ReadOptions(zone="Europe/London"))
    >>> reading.as_of is None
    True
    """

    sources: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    options: ReadOptions = field(default_factory=ReadOptions)
    customers: CustomersTable | None = None
    own: OwnFeatures = field(default_factory=_nothing_own)
    spark: Spark | None = None
    frames: tuple[object, ...] = field(default=(), compare=False)

    @property
    def as_of(self) -> datetime | None:
        """The as_of that was asked for; None: the day after the last event."""
        return self.options.as_of

    def counting_days_of(self, zone: str) -> Reading:
        """Return the reading with the days of a zone, such as that of a model.

        Where no zone was named, times without one are read as times of this zone too.
        """

        def counted(options: ReadOptions) -> ReadOptions:
            is_named = options.day_zone is not None or options.zone != "UTC"
            return replace(options, zone=options.zone if is_named else zone, day_zone=zone)

        tables = tuple(replace(t, options=counted(t.options)) for t in self.tables)
        return replace(self, options=counted(self.options), tables=tables)

    def open(self, *outs: Path | None, command: str = "open") -> EventLog:
        """Read the log on this machine.

        Parameters
        ----------
        outs
            Files that will be written; None: not asked for.
        command
            What the log is read for, by the name of its command, for errors.

        Raises
        ------
        stagecast.features.errors.StagecastError
            Nothing was named, it cannot be read, it is to be read on Spark, or one of ``outs`` is a
            file that was read.
        """
        if self.spark is not None:
            raise UsageError(
                f"--engine spark: `{command}` works on one machine; `features`, `train` and "
                "`score` know Spark"
            )
        if not self.sources and not self.tables and not self.frames:
            raise UsageError(
                "no event log was named: give EVENTS (CSV or Parquet files, a glob, a folder, a "
                "database URL), or [[tables]] in stagecast.toml"
            )
        from stagecast.features.events import from_frame, read_events, read_tables

        if self.sources:
            log = read_events(list(self.sources), self.options, self.customers)
        elif self.frames:
            log = from_frame(self.frames, self.options, self.customers)
        else:
            log = read_tables(self.tables, self.options, self.customers)
        for out in outs:
            if out is not None and any(
                out.resolve() == Path(name).resolve() for name in log.report.files
            ):
                log.close()
                raise UsageError(f"--out {out} is the event log itself; name another file")
        return log

    @contextmanager
    def open_on_spark(self) -> Iterator[SparkLog]:
        """Open the log on Spark; the session ends with it.

        Raises
        ------
        stagecast.features.errors.StagecastError
            No folder or table was named, it cannot be read, or an option that only one machine
            knows.
        """
        if self.options.preset is not None:
            raise UsageError(
                f"--preset {self.options.preset} is not known to --engine spark: it reads the text "
                "file that the vendor exports (forms of its times, amounts and order states), and "
                "Spark reads typed columns. Read the export without --engine spark; or write the "
                "rows that count as Parquet, and map --customer, --time and --amount"
            )
        self._check_known_to_spark()
        if not self.sources:
            raise UsageError(
                "--engine spark needs EVENTS: folders of Parquet or Delta, or table:NAME"
            )
        from stagecast.features.describe.quality.on_spark import warnings_of
        from stagecast.features.engines.spark.reading import read
        from stagecast.features.engines.spark.table import session, spark_error

        chosen = self.spark or Spark()
        spark = session(chosen.master, dict(chosen.settings))
        try:
            log = read(spark, list(self.sources), asdict(self.options.mapping), self.options)
            warnings = (*log.warnings, *warnings_of(log.events_in_shop_time()))
            yield replace(log, warnings=warnings)
        except Exception as error:
            if type(error).__module__.startswith(("pyspark.", "py4j.")):
                raise spark_error(error) from error
            raise
        finally:
            spark.stop()

    def _check_known_to_spark(self) -> None:
        """Raise a UsageError for an option that Spark's reader does not know."""
        defaults = vars(ReadOptions())
        asked = {**vars(self.options.mapping), **vars(self.options)}
        for name in _NOT_ON_SPARK:
            if asked[name]:
                raise UsageError(
                    f"--{name.replace('_', '-')} is not known to --engine spark; prepare the "
                    "column in Spark, and map it"
                )
        for name in _OF_TEXT_FILES:
            if asked[name] != defaults[name]:
                raise UsageError(
                    f"--{name.replace('_', '-')} is for text files, which --engine spark does not "
                    "read: its columns are typed, and of texts it reads numbers like 1234.50"
                )
