"""What a comparison of a challenger with its champion found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from stagecast.training.promotion.challenge import Challenge


@dataclass(frozen=True, repr=False)
class Comparison:
    """A version of a registered model against the champion, on dates that neither saw.

    Parameters
    ----------
    challenge
        The versions, and what was decided of each check.
    """

    challenge: Challenge

    @property
    def version(self) -> str:
        """The version that was compared."""
        return self.challenge.challenger

    @property
    def champion(self) -> str | None:
        """The version that is champion; None where there is none to compare with."""
        return self.challenge.champion

    @property
    def passes(self) -> bool:
        """Whether the version passes every check, so that a retraining would promote it."""
        return self.challenge.decision.promote

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not, a sentence each; where it passes, what was measured."""
        return self.challenge.decision.reasons

    @property
    def dates(self) -> tuple[str, ...]:
        """The dates of the comparison, ISO 8601, oldest first."""
        return self.challenge.decision.dates

    @property
    def summary(self) -> pd.DataFrame:
        """One row per check, as ``docs/promotion.md`` lists them.

        Returns
        -------
        pandas.DataFrame
            Index ``check``; ``passed``, and ``sentence``: what was measured against what.
        """
        checks = self.challenge.decision.checks
        return pd.DataFrame(
            {"passed": [c.passed for c in checks], "sentence": [c.sentence for c in checks]},
            index=pd.Index([c.name for c in checks], name="check"),
        )

    @property
    def numbers(self) -> pd.DataFrame:
        """The measured numbers of each check.

        Returns
        -------
        pandas.DataFrame
            Index ``check`` and ``number`` (its name); ``value``.
        """
        rows = [
            (check.name, name, float(value))
            for check in self.challenge.decision.checks
            for name, value in check.numbers.items()
        ]
        index = pd.MultiIndex.from_tuples([row[:2] for row in rows], names=["check", "number"])
        return pd.DataFrame({"value": [row[2] for row in rows]}, index=index)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, as ``stagecast models compare --json`` prints it."""
        return self.challenge.to_json()

    def __repr__(self) -> str:
        failed = [c.name for c in self.challenge.decision.checks if not c.passed]
        verdict = "passes" if self.passes else f"does not pass for {', '.join(failed)}"
        against = "no champion" if self.champion is None else f"champion {self.champion}"
        return (
            f"Comparison(version {self.version} of {self.challenge.name} against {against}: "
            f"{verdict})"
        )

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p><code>{escape(repr(self))}</code></p>{self.summary.to_html()}"
