"""Changes between two scores of one customer, in sentences: stage, orders, risk and value.

Stage and orders come first, since they explain the changes of the predictions after them. What
moved a probability is told only where it moved: a silence of some days more is no news.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.languages.texts import texts_of
from stagecast.serving.store.movers import movers

# Smaller changes are not reported: of a probability, and of an amount relative to the larger one.
MIN_PROBABILITY_CHANGE, MIN_RELATIVE_CHANGE = 0.02, 0.05
# Definition of churn in scores from before the column "churn" existed.
INACTIVITY = "inactivity"


def changes(
    score: Mapping[str, Any],
    previous: Mapping[str, Any] | None,
    titles: Mapping[str, str] | None = None,
    currency: str | None = None,
    display: Display = ENGLISH,
) -> list[dict[str, Any]]:
    """Return what changed since the previous score.

    Parameters
    ----------
    score, previous
        Scores as the API returns them, see ``docs/scores.md``; ``previous`` is None if there is
        none.
    titles
        Title of each stage by id; None: the ids are shown.
    currency
        Code of the currency of the amounts; None: not known.
    display
        Language and digits of the sentences.

    Returns
    -------
    One dict per change: ``field``, its values ``before`` and ``now``, and a ``sentence``.
    """
    if previous is None:
        return []
    stage_titles = titles or {}
    score, previous = {"churn": INACTIVITY, **score}, {"churn": INACTIVITY, **previous}
    churn, old_churn = score["churn"], previous["churn"]
    stage, old_stage = _stage_title(score, stage_titles), _stage_title(previous, stage_titles)
    said = _Said(score, previous, currency, display)
    # probabilities of two definitions of churn cannot be compared
    same_churn = churn == old_churn
    kinds = said.texts["churn_kinds"]
    candidates = [
        said.change("stage", "stage", before=old_stage, now=stage)
        if score["stage"] != previous["stage"]
        else None,
        said.orders(),
        *(
            said.probabilities()
            if same_churn
            else [
                said.change(
                    "churn", "churn", now=kinds.get(churn, churn), before=kinds.get(old_churn)
                )
            ]
        ),
        said.amount("clv"),
        said.amount("value_at_risk") if same_churn else None,
        said.change("model_version", "model")
        if score["model_version"] != previous["model_version"]
        else None,
    ]
    return [change for change in candidates if change is not None]


def _stage_title(score: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    return titles.get(score["stage"], score["stage"])


class _Said:
    """The two scores, and the words of the changes between them."""

    def __init__(
        self,
        score: Mapping[str, Any],
        previous: Mapping[str, Any],
        currency: str | None,
        display: Display,
    ) -> None:
        self.score, self.previous = score, previous
        self.currency, self.display = currency, display
        self.texts: Mapping[str, Any] = texts_of(display.language)["changes"]

    def change(self, field: str, text: str, **values: Any) -> dict[str, Any]:
        return self._entry(field, self.texts[text].format(**values))

    def _entry(self, field: str, sentence: str) -> dict[str, Any]:
        before, now = self.previous[field], self.score[field]
        return {"field": field, "before": before, "now": now, "sentence": sentence}

    def orders(self) -> dict[str, Any] | None:
        """Return the change of the number of orders; None without one."""
        difference = self.score["orders"] - self.previous["orders"]
        if difference > 0:
            sentence = self.display.counted(difference, self.texts["ordered"])
            if self.score["spend"] is not None and self.previous["spend"] is not None:
                spent = self.score["spend"] - self.previous["spend"]
                sentence = f"{sentence}{self.texts['comma']}{self._money(spent)}"
            return self._entry("orders", sentence)
        if difference < 0:
            return self._entry("orders", self.display.counted(-difference, self.texts["returned"]))
        return None

    def _money(self, value: float) -> str:
        return self.display.money(value, self.currency)

    def probabilities(self) -> list[dict[str, Any] | None]:
        return [self._probability(name) for name in ("churn_probability", "p_return", "p_convert")]

    def _probability(self, name: str) -> dict[str, Any] | None:
        new, old = self.score[name], self.previous[name]
        if new is None or old is None or abs(new - old) < MIN_PROBABILITY_CHANGE:
            return None
        sentence = self._moved(
            name, new > old, self.display.percent(old), self.display.percent(new)
        )
        # p_return falls as the risk rises; a first order has no reasons
        if name == "p_convert":
            return self._entry(name, sentence)
        rises = (new > old) != (name == "p_return")
        why = movers(
            self.score, self.previous, 1 if rises else -1, self.currency, self.display.language
        )
        if why:
            sentence = f"{sentence}: {self.display.said(self.texts['and'].join(why))}"
        return self._entry(name, sentence)

    def amount(self, name: str) -> dict[str, Any] | None:
        new, old = self.score[name], self.previous[name]
        if new is None or old is None:
            return None
        if abs(new - old) < MIN_RELATIVE_CHANGE * max(abs(new), abs(old), 1e-9):
            return None
        return self._entry(name, self._moved(name, new > old, self._money(old), self._money(new)))

    def _moved(self, name: str, rose: bool, old: str, new: str) -> str:
        text: str = self.texts["rose" if rose else "fell"][name]
        return text.format(before=old, now=new)
