"""The columns that a list of customers may show, on the page and in the files that people read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec

from stagecast.serving.http.page_texts import plays_of, titles_of
from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.languages.scheme_words import scheme_texts
from stagecast.serving.languages.texts import texts_of
from stagecast.serving.reports.shop_days import day_on
from stagecast.serving.scoring.win_back import win_back_of
from stagecast.serving.store.exports import PIECE_BYTES, escape_formula
from stagecast.serving.store.published_runs import Run
from stagecast.training.reasons.sentences import because_but

ListColumn = Literal[
    "stage",
    "churn_probability",
    "value_at_risk",
    "value_gone",
    "win_back",
    "clv",
    "recency_days",
    "days_overdue",
    "next_order_date",
    "reason",
    "action",
    "play",
    "spend",
    "orders",
    "expected_spend",
    "loss_per_week",
    "window_closes",
    "rfm_segment",
]
LIST_COLUMNS: tuple[ListColumn, ...] = get_args(ListColumn)
MONEY: tuple[ListColumn, ...] = (
    "value_at_risk",
    "value_gone",
    "win_back",
    "clv",
    "spend",
    "expected_spend",
    "loss_per_week",
)
STAKE: tuple[ListColumn, ...] = ("value_at_risk", "value_gone", "win_back")
"""What leaving costs, and what may return of it: null where no customer-base model was fitted."""
_FORMATS = {
    **dict.fromkeys(MONEY, "#,##0"),
    "churn_probability": "0%",
    "recency_days": "0",
    "days_overdue": "0",
}
_OF_OTHERS: dict[str | None, tuple[ListColumn, ...]] = {
    "lapsed": ("value_at_risk",),
    "prospect": (*STAKE, "recency_days", "days_overdue"),
}
"""State of a list -> the usual columns that its customers have no value in."""


def usual_columns(state: str | None) -> tuple[ListColumn, ...]:
    """Return the columns of a list that asks for none.

    Parameters
    ----------
    state
        State that the list is filtered by; of the lapsed, what is gone and may return counts,
        and who has not ordered has neither an order nor money at stake.
    """
    of_others = _OF_OTHERS.get(state, ("value_gone", "win_back"))
    return tuple(
        column
        for column in LIST_COLUMNS[: LIST_COLUMNS.index("action") + 1]
        if column not in of_others
    )


@dataclass(frozen=True)
class Sheet:
    """A list as a table for people: heads in words, and one row of cells per score.

    Parameters
    ----------
    run
        The run whose scores are listed.
    columns
        The columns beside the customer.
    display
        Language of heads, titles and reasons; numbers are numbers to a spreadsheet.
    """

    run: Run
    columns: tuple[ListColumn, ...]
    display: Display = ENGLISH

    @property
    def head(self) -> list[str]:
        """The heads, with the currency of the money where it is known."""
        words = texts_of(self.display.language)["columns"]
        currency = self.run.currency
        return [
            f"{words[column]} ({currency})" if currency and column in MONEY else words[column]
            for column in ("customer_id", *self.columns)
        ]

    @property
    def number_formats(self) -> dict[int, str]:
        """Position of a column -> how a spreadsheet shows its numbers."""
        return {
            position: _FORMATS[column]
            for position, column in enumerate(self.columns, start=1)
            if column in _FORMATS
        }

    def rows(self, documents: Iterable[str]) -> Iterator[list[Any]]:
        """Yield the cells of scores, each the text of one JSON object."""
        language = self.display.language
        titles, plays = titles_of(self.run.scheme, language), plays_of(self.run.scheme, language)
        for document in documents:
            score = msgspec.json.decode(document)
            cells = [self._cell(score, column, titles, plays) for column in self.columns]
            yield [score["customer_id"], *cells]

    def csv_pieces(self, documents: Iterable[str]) -> Iterator[str]:
        """Yield scores as CSV text in pieces; no cell is a formula to a spreadsheet."""
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(self.head)
        for row in self.rows(documents):
            writer.writerow(
                ["" if c is None else escape_formula(c) if isinstance(c, str) else c for c in row]
            )
            if buffer.tell() > PIECE_BYTES:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue()

    def _cell(
        self,
        score: Mapping[str, Any],
        column: ListColumn,
        titles: Mapping[str, str],
        plays: Mapping[str, str],
    ) -> Any:
        if column == "stage":
            return titles.get(score["stage"], score["stage"])
        if column == "play":
            return plays.get(score.get("play") or "", score.get("play"))
        if column == "reason":
            reasons = score.get("reasons") or ()
            if not reasons:
                return None
            text = because_but(
                reasons, self.display.language, self.run.currency, score.get("churn_band")
            )
            return self.display.said(text)
        if column == "action":
            texts = scheme_texts(self.run.scheme, self.display.language)
            return texts.get(score["action"], score["action"])
        value = win_back_of(score) if column == "win_back" else score.get(column)
        if column == "next_order_date" or column == "window_closes":
            return value
        return round(value, 4) if isinstance(value, float) else value

    @property
    def file_name(self) -> str:
        """Name of a file of the list, without its ending."""
        return f"customers-{day_on(self.run.clock, self.run.as_of)}"


def chosen_columns(asked: Sequence[ListColumn], state: str | None) -> tuple[ListColumn, ...]:
    """Return the columns that were asked for, each once and in their usual order, else the usual
    ones.
    """
    return tuple(column for column in LIST_COLUMNS if column in asked) or usual_columns(state)
