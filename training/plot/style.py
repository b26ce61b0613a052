"""How all charts look: colours, fonts, sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
import pandas as pd

from stagecast.features.errors import UsageError
from stagecast.features.frames.given import as_frame

FONT: Final = 'system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif'
INK, QUIET, LINE = "#1b2430", "#5b6776", "#dde2e8"
ACTUAL, EXPECTED = "#1f5f8b", "#d55e00"
"""Okabe and Ito's vermilion beside a blue: told apart by all kinds of colour blindness."""
OKABE_ITO: Final = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#7f7f7f",
    "#f0e442",
)
WIDTH, HEIGHT = 520, 340


def titled(text: str, subtitle: str | Sequence[str] = ()) -> alt.TitleParams:
    """Return a title of a chart with what must be known to read it below."""
    lines = [subtitle] if isinstance(subtitle, str) else list(subtitle)
    return alt.TitleParams(text, subtitle=[line for line in lines if line], anchor="start")


def styled(chart: Any) -> Any:
    """Return the chart in the style of all charts."""
    return (
        chart.configure(font=FONT, background="white")
        .configure_view(stroke=None)
        .configure_title(
            fontSize=16,
            fontWeight=600,
            color=INK,
            subtitleFontSize=12,
            subtitleColor=QUIET,
            subtitlePadding=5,
            offset=14,
            lineHeight=18,
        )
        .configure_axis(
            domain=False,
            ticks=False,
            gridColor=LINE,
            labelColor=QUIET,
            labelFontSize=12,
            labelPadding=6,
            titleColor=INK,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=10,
        )
        .configure_legend(
            labelColor=INK,
            labelFontSize=12,
            titleColor=INK,
            titleFontSize=12,
            titleFontWeight="normal",
            symbolStrokeWidth=2,
            symbolOpacity=1,
        )
    )


def inline(rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> alt.InlineData:
    """Return rows as the data of a chart; instants as milliseconds, NaN as null."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    plain = {
        name: (
            column.astype("int64") // 10 ** {"ns": 6, "us": 3, "ms": 0}.get(column.dt.unit, 6)
            if pd.api.types.is_datetime64_any_dtype(column)
            else column
        )
        for name, column in frame.items()
    }
    records = pd.DataFrame(plain).astype(object)
    records = records.where(records.notna(), None)
    values: list[dict[str, Any]] = records.to_dict(orient="records")  # type: ignore[assignment]
    return alt.InlineData(values=values)


def frame_of(table: Any, what: str) -> pd.DataFrame:
    """Return a table, or a list of rows, as a pandas frame.

    Raises
    ------
    UsageError
        It is none.
    """
    if isinstance(table, list) and table and all(isinstance(row, Mapping) for row in table):
        return pd.DataFrame(table)
    return as_frame(table, what)


def named_columns(frame: Any, names: Sequence[str], what: str) -> pd.DataFrame:
    """Return a table as a pandas frame with these columns at least.

    Raises
    ------
    UsageError
        It is no table, or one is missing; the message lists those that there are.
    """
    table = frame_of(frame, what)
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise UsageError(
            f"{what} lacks {', '.join(missing)}; it has {', '.join(map(str, table.columns[:12]))}"
        )
    return table
