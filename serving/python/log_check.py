"""``LogCheck``: what is in a log, what was refused, and what can be learned from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from stagecast.features.intake.report import DataReport, summary_lines
from stagecast.serving.python.words import in_python_words
from stagecast.serving.runs.findings import findings
from stagecast.training.judging.readiness.answer import LABELS

if TYPE_CHECKING:
    from stagecast.features.describe.quality import Quality
    from stagecast.serving.runs.inspection import Inspection
    from stagecast.training.judging.readiness.answer import Readiness


@dataclass(frozen=True, repr=False)
class LogCheck:
    """What :meth:`~stagecast.serving.python.event_log.EventLog.check` returns.

    Printed, it is a few lines; in a notebook, tables. ``print(check.text)`` is the whole report of
    ``stagecast check``.

    Parameters
    ----------
    inspection
        The data report.
    rejected
        The refused rows.
    """

    inspection: Inspection
    rejected: pd.DataFrame

    @property
    def report(self) -> DataReport:
        """Counts of the loaded, refused and duplicate rows."""
        return self.inspection.report

    @property
    def quality(self) -> Quality:
        """Gaps, odd days, rhythm, amounts."""
        return self.inspection.quality

    @property
    def readiness(self) -> Readiness:
        """What a training could do."""
        return self.inspection.readiness

    @property
    def findings(self) -> tuple[str, ...]:
        """What stands out in the log, a sentence each."""
        return tuple(in_python_words(line) for line in findings(self.quality))

    @property
    def text(self) -> str:
        """The whole report as text."""
        return in_python_words("\n".join(self.inspection.lines()))

    @property
    def summary(self) -> pd.DataFrame:
        """What a training could do: index ``ability``, columns ``possible`` and ``missing``."""
        return pd.DataFrame(
            {
                "possible": [ability.allowed for ability in self.readiness.abilities],
                "missing": [
                    in_python_words("; ".join(ability.missing))
                    for ability in self.readiness.abilities
                ],
            },
            index=pd.Index(
                [LABELS[ability.name] for ability in self.readiness.abilities], name="ability"
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Return ``data-report.json`` as plain data."""
        return self.inspection.to_json()

    def __repr__(self) -> str:
        counts = summary_lines(self.report)[:2]
        refused = [f"refused: {_counts(self.report.rejected_by_reason)}"]
        lines = [
            *counts,
            *(refused if self.report.rows_rejected else []),
            *self.findings,
            self.readiness.lines()[0],
        ]
        return in_python_words("\n".join(lines))

    def _repr_html_(self) -> str:
        sentences = "".join(f"<li>{escape(line)}</li>" for line in self.findings)
        ready = escape(in_python_words(self.readiness.lines()[0]))
        marks = self.summary["possible"].map({True: "yes", False: "no"})
        abilities = self.summary.assign(possible=marks)
        return (
            html_of_report(self.report)
            + (f"<ul>{sentences}</ul>" if sentences else "")
            + f"<p>{ready}</p>{abilities.to_html()}"
        )


def html_of_report(report: DataReport) -> str:
    """Return the counts of a log as a table in HTML."""
    rows = {
        "rows": f"{report.rows_in:,} in = {report.rows_loaded:,} loaded + "
        f"{report.rows_rejected:,} refused + {report.rows_duplicate:,} duplicates",
        "customers": f"{report.customers:,}, of them {report.buyers:,} buyers",
        "events": f"{report.first_event[:10]} to {report.last_event[:10]}",
        "types": _counts(report.event_types),
        "refused": _counts(report.rejected_by_reason) or "nothing",
        "amounts": report.currency or ("yes" if report.has_amounts else "none"),
        "days of": report.zone,
    }
    cells = "".join(
        f"<tr><th style='text-align:left'>{name}</th>"
        f"<td style='text-align:left'>{escape(text)}</td></tr>"
        for name, text in rows.items()
    )
    return f"<table><tbody>{cells}</tbody></table>"


def _counts(counts: Mapping[str, int], most: int = 6) -> str:
    items = [f"{name} {count:,}" for name, count in list(counts.items())[:most]]
    more = [f"{len(counts) - most} more"] if len(counts) > most else []
    return ", ".join([*items, *more])
