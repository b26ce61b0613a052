"""``EvaluationReport``: how good a training was on the horizon after it, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from stagecast.features.intake.counted import counted
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import Churn

PARTS = ("churn", "churn of the active", "next stage", "spend", "value")


@dataclass(frozen=True, repr=False)
class EvaluationReport:
    """How good the same procedure was one horizon before the as_of, against what has come since.

    It is the evaluation of the model card, so that a loaded model has it, too.

    Parameters
    ----------
    evaluation
        :class:`stagecast.training.judging.evaluation_result.Evaluation` as plain data; None where
        the log was too young for one.
    notes
        What the training could not do, a sentence each.
    churn
        What the probabilities are of.
    """

    evaluation: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()
    churn: Churn = "inactivity"

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> EvaluationReport:
        """Return the report of a model card."""
        return cls(
            card.get("evaluation"),
            tuple(card.get("notes") or ()),
            card.get("churn") or "inactivity",
        )

    @property
    def grade(self) -> str | None:
        """A to D, against the best baseline; None without an evaluation."""
        return None if self.evaluation is None else str(self.evaluation["grade"])

    @property
    def summary(self) -> pd.DataFrame:
        """Figures of each part and method, ours first; empty without an evaluation.

        Returns
        -------
        pandas.DataFrame
            Index ``part`` (``churn``, ``churn of the active``, ``next stage``, ``spend`` within the
            horizon, ``value`` over the value horizon) and ``method``. ``log_loss`` (nats), ``auc``,
            ``brier``, ``calibration_error`` (0 to 1) and ``lift_10`` are of probabilities, ``mae``
            (money per customer), ``rank_correlation`` and ``total`` (expected over actual money)
            of money; NaN where a figure does not apply.
        """
        rows = [
            {"part": part, "method": method["label"], **_figures(method)}
            for part, methods in self._methods()
            for method in methods
        ]
        columns = ["part", "method", *_PROBABILITY, *_MONEY]
        table = pd.DataFrame(rows, columns=columns).set_index(["part", "method"])
        return table.astype("float64")

    @property
    def by_member(self) -> pd.DataFrame:
        """Figures of churn of each member alone, at the level of the model; see :attr:`summary`.

        Empty without an evaluation, and where churn is cancellation.
        """
        rows = [
            {"member": method["name"], **{name: method[name] for name in _PROBABILITY}}
            for method in (self.evaluation or {}).get("members") or []
        ]
        table = pd.DataFrame(rows, columns=["member", *_PROBABILITY]).set_index("member")
        return table.astype("float64")

    @property
    def calibration(self) -> pd.DataFrame:
        """Tenths of the customers by our probability: predicted and observed share."""
        return self._table("calibration")

    @property
    def gains(self) -> pd.DataFrame:
        """Share of those who ordered nothing, or cancelled, among the customers with the highest
        probabilities.
        """
        return self._table("gains")

    @property
    def against(self) -> pd.DataFrame:
        """Our log loss for the active less that of each baseline, with its 95 % interval over draws
        of the customers; below 0 we are better.
        """
        active = (self.evaluation or {}).get("active") or {}
        columns = ["label", "difference", "low", "high", "relative", "better_in"]
        table = pd.DataFrame(active.get("against") or [], columns=columns)
        return table.rename(columns={"label": "baseline"}).set_index("baseline")

    @property
    def coverage(self) -> dict[str, float | None]:
        """Share of the customers whose money was within its 90 % interval."""
        evaluation = self.evaluation or {}
        return {
            "expected_spend": (evaluation.get("coverage") or {}).get("expected_spend"),
            "clv": (evaluation.get("value") or {}).get("coverage"),
        }

    def __repr__(self) -> str:
        if self.evaluation is None:
            return "EvaluationReport(none: the log is too young to be tested on a later period)"
        e = self.evaluation
        # the grade is of the active, and so is what stands beside it
        asked, whom = e.get("active") or e, "active customer" if e.get("active") else "customer"
        ours = asked["models"][0]
        auc = "" if ours["auc"] is None else f", AUC {ours['auc']:.3f}"
        return (
            f"EvaluationReport(grade {e['grade']}, {e['as_of'][:10]} to {e['until'][:10]}, "
            f"{counted(asked['customers'], whom)}, {asked['base_rate']:.1%} {self._left}; "
            f"log loss {ours['log_loss']:.4f}{auc})"
        )

    def _repr_html_(self) -> str:
        if self.evaluation is None:
            return f"<p>{escape(repr(self))}</p>"
        e = self.evaluation
        head = (
            f"<p><b>Grade {escape(e['grade'])}.</b> {escape(e['grade_sentence'])}<br>"
            f"{escape(e['as_of'][:10])} to {escape(e['until'][:10])}, "
            f"{counted(e['customers'], 'customer')}, {e['base_rate']:.1%} {self._left}.</p>"
        )
        table = self.summary.to_html(float_format="{:,.4g}".format, na_rep="")
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return head + table + (f"<ul>{notes}</ul>" if notes else "")

    @property
    def _left(self) -> str:
        return kind_of(self.churn).wording.left

    def _methods(self) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
        if self.evaluation is None:
            return []
        e = self.evaluation
        return [
            ("churn", e["models"]),
            ("churn of the active", (e.get("active") or {}).get("models") or []),
            ("next stage", e["next_stage"]),
            ("spend", e["spend"] or []),
            ("value", (e.get("value") or {}).get("models") or []),
        ]

    def _table(self, name: str) -> pd.DataFrame:
        return pd.DataFrame((self.evaluation or {}).get(name) or [])


_PROBABILITY = ("log_loss", "auc", "brier", "calibration_error", "lift_10")
_MONEY = ("mae", "rank_correlation", "total")


def _figures(method: Mapping[str, Any]) -> dict[str, Any]:
    figures = {name: method.get(name) for name in (*_PROBABILITY, *_MONEY[:2])}
    actual = method.get("actual_total")
    return {**figures, "total": method["predicted_total"] / actual if actual else None}
