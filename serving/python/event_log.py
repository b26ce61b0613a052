"""``EventLog``: a checked log, with features, stages, history and panels as DataFrames."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.arguments.values import path as path_of
from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog as CheckedLog
from stagecast.features.frames.instants import Instant, Span, as_datetime, as_days, warn_if_late
from stagecast.serving.python.words import speaks_python

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from stagecast.features.catalog.catalog import Catalog
    from stagecast.features.catalog.python_feature import OwnFeature
    from stagecast.features.frames.panel import Panel
    from stagecast.serving.python.log_check import LogCheck
    from stagecast.serving.python.movement import Comparison, LogFlows
    from stagecast.serving.reading import Reading
    from stagecast.training.config import Churn


@dataclass(frozen=True)
class LogDate:
    """A log and a date at which somebody stands in it, one row of a search of scikit-learn.

    Parameters
    ----------
    log
        The log.
    as_of
        The date, in shop time.
    """

    log: EventLog
    as_of: datetime


class EventLog(CheckedLog):
    """A checked log of events; :func:`stagecast.read_events` reads one.

    It holds a database in a temporary folder, which is removed when the log is closed or no longer
    used. An ``as_of`` is a text, ``date``, ``datetime`` or ``Timestamp``; without a zone of its own
    it is what the shop's clock shows. None is the day after the last event. No method sees an event
    at or after the as_of. One more than a year after the last event is told by a UserWarning.

    Parameters
    ----------
    checked
        The log that was read, which is taken over.
    reading
        What was read, and how.
    """

    def __init__(self, checked: CheckedLog, reading: Reading) -> None:
        super().__init__(checked.con, checked.report, checked.hand_over(), checked.known_at_start)
        self.reading = reading

    @speaks_python
    def at(self, as_of: Instant | None) -> datetime:
        """Return an as_of as the packages below take it.

        Raises
        ------
        UsageError
            It is not a time, or not after the first event.
        """
        return self.choose_as_of(None if as_of is None else as_datetime(as_of))

    @speaks_python
    def check(
        self,
        horizon: Span = "90d",
        as_of: Instant | None = None,
        *,
        churn: Churn = "inactivity",
    ) -> LogCheck:
        """Return what is in the log, what was refused and why, and what can be learned from it.

        Parameters
        ----------
        horizon
            Span that a training would speak of.
        as_of
            Where a training would stand.
        churn
            What churn would be, ``inactivity`` or ``cancellation``.
        """
        from stagecast.serving.python.log_check import LogCheck
        from stagecast.serving.runs.inspection import inspect
        from stagecast.training.config import TrainConfig

        config = TrainConfig(horizon_days=as_days(horizon), churn=churn)
        return LogCheck(inspect(self, self.at(as_of), config), self.rejected())

    @speaks_python
    def features(
        self,
        as_of: Instant | None = None,
        *,
        horizon: Span = "90d",
        features: Sequence[OwnFeature] = (),
    ) -> pd.DataFrame:
        """Return the features of every customer known before the as_of, as a DataFrame.

        Index ``customer_id``; a column for each feature, which :func:`stagecast.catalog` describes;
        null is NaN. They are those of ``stagecast features``.

        Parameters
        ----------
        horizon
            Span that features with the word "ahead" in their names look at, one year earlier.
        features
            Features of your own, which become the last columns.
        """
        from stagecast.features.frames.tables import feature_frame

        return feature_frame(self, self._standing(as_of), self._catalog(as_days(horizon), features))

    @speaks_python
    def stages(self, as_of: Instant | None = None, *, scheme: str = "retail") -> pd.DataFrame:
        """Return the stage of every customer: ``stage``, ``stage_since`` and ``stage_rule``.

        Index ``customer_id``.

        Parameters
        ----------
        scheme
            Name of a scheme of the package, or path of a TOML file.
        """
        from stagecast.features.frames.tables import by_customer
        from stagecast.features.stages.scheme_files import load_scheme
        from stagecast.serving.runs.stage_table import stage_table, stages_of

        return by_customer(stage_table(stages_of(self, self._standing(as_of), load_scheme(scheme))))

    @speaks_python
    def spells(self, as_of: Instant | None = None, *, scheme: str = "retail") -> pd.DataFrame:
        """Return every stay of every customer on a stage, as ``stagecast stages --history``.

        Returns
        -------
        pandas.DataFrame
            ``customer_id``, ``stage``, ``from``, ``to`` (null: it lasts), ``rule`` (what began it),
            the stays of a customer in the order of time.
        """
        from stagecast.features.stages.scheme_files import load_scheme
        from stagecast.serving.runs.stage_table import history_table, stages_of

        stages = stages_of(self, self._standing(as_of), load_scheme(scheme), keep_facts=True)
        spells: pd.DataFrame = history_table(stages).to_pandas()
        return spells

    @speaks_python
    def flows(
        self,
        as_of: Instant | None = None,
        *,
        scheme: str = "retail",
        period: str | None = None,
        moved_from: Instant | None = None,
        moved_until: Instant | None = None,
    ) -> LogFlows:
        """Return how customers move through the stages: stock, transitions, stays, cohorts.

        Parameters
        ----------
        period
            ``week``, ``month`` or ``quarter``; None: by the length of the log.
        moved_from, moved_until
            The two dates of the table ``moved``; None: 90 days before the second, and the as_of.
        """
        from stagecast.serving.python.movement import flows_of

        return flows_of(self, self._standing(as_of), scheme, period, (moved_from, moved_until))

    @speaks_python
    def before_after(
        self, date: Instant, as_of: Instant | None = None, *, scheme: str = "retail"
    ) -> Comparison:
        """Compare sales, repeat purchases and times on stages before and after a date.

        Events of the type ``cost`` are what it cost to serve the customers. It is no experiment.

        Parameters
        ----------
        date
            A midnight of the shop, at least 28 days after the first event and before the as_of.

        Raises
        ------
        UsageError
            The date is none, no midnight, or outside of the log.
        NotEnoughDataError
            There are fewer than 28 days on a side.
        """
        from stagecast.serving.python.movement import comparison_of

        return comparison_of(self, self._standing(as_of), date, scheme)

    @speaks_python
    def history(self, customer_id: object) -> pd.DataFrame:
        """Return the events of one customer in the order of time, with the columns they fill.

        Raises
        ------
        UsageError
            The log has no such customer.
        """
        from stagecast.features.frames.tables import history_frame

        return history_frame(self, customer_id)

    @speaks_python
    def snapshots(
        self,
        as_ofs: Instant | Iterable[Instant],
        horizon: Span = "90d",
        *,
        features: Sequence[OwnFeature] = (),
    ) -> Panel:
        """Return the buyers at past dates with their features, and what came after each date.

        Parameters
        ----------
        as_ofs
            One date or several, whose horizons are over when the log ends.
        horizon
            Span in which outcomes are observed.
        features
            Features of your own, in addition to those that models learn from.

        Examples
        --------
        >>> import stagecast as sc
        >>> from stagecast.features.demo import cdnow_sample_frame
        >>> with sc.read_events(cdnow_sample_frame(), duplicates="keep") as log:
        ...     panel = log.snapshots(["1997-10-01", "1998-01-01"], horizon="90d")
        >>> panel.X.shape[0], round(float(panel.y.mean()), 2)
        (4714, 0.83)
        """
        from stagecast.features.frames.panel import take_panel

        days = as_days(horizon)
        dates = self._dates(as_ofs)
        return take_panel(self, dates, days, self._catalog(days, features))

    @speaks_python
    def dates(self, as_ofs: Instant | Iterable[Instant]) -> list[LogDate]:
        """Return the log at several dates, the rows over which ``GridSearchCV`` searches.

        :meth:`stagecast.Lifecycle.fit` stands at the newest of the dates that it is given;
        :func:`stagecast.neg_churn_log_loss` judges the model at the others.

        Parameters
        ----------
        as_ofs
            Dates in order of time.

        Raises
        ------
        UsageError
            They are not in order of time.
        """

        dates = self._dates(as_ofs)
        if any(later <= earlier for earlier, later in itertools.pairwise(dates)):
            raise UsageError("as_ofs must be in order of time, each once, since folds go by it")
        return [LogDate(self, date) for date in dates]

    def _standing(self, as_of: Instant | None) -> datetime:
        """Return where a table of a method stands, with a warning of one long after the log."""
        at = self.at(as_of)
        # of this one, the method, its decorator, and the caller
        warn_if_late(at, self.clock.shop(self.last_event), "event", stacklevel=4)
        return at

    def _dates(self, as_ofs: Instant | Iterable[Instant]) -> list[datetime]:
        several = not isinstance(as_ofs, str) and isinstance(as_ofs, Iterable)
        times: Sequence[Instant] = list(as_ofs) if several else [as_ofs]  # type: ignore[arg-type,list-item]
        return [self.choose_as_of(as_datetime(time, "as_ofs")) for time in times]

    def _catalog(self, horizon_days: int, features: Sequence[OwnFeature]) -> Catalog:
        from stagecast.features.catalog.python_feature import own_features

        return own_features(features, self.reading.own).catalog(horizon_days)

    def write_rejected(self, path: str | Path) -> None:
        """Write the refused rows as Parquet.

        Raises
        ------
        UsageError
            The file cannot be written.
        """
        super().write_rejected(path_of(path, "path", "the path of a file, like 'rejected.parquet'"))

    def rejected(self) -> pd.DataFrame:
        """Return the refused rows: their place, column, value, reasons, and the row as JSON."""
        rows: pd.DataFrame = super().rejected().to_pandas()
        return rows

    def _repr_html_(self) -> str:
        from stagecast.serving.python.log_check import html_of_report

        return html_of_report(self.report)

    def __enter__(self) -> EventLog:
        return self

    def __reduce__(self) -> str:
        raise UsageError(
            "an EventLog is a database and cannot be copied or pickled; read the events again "
            "where they are needed"
        )
