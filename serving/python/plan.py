"""``Plan``: whom to contact and whom to leave alone, on disk until it is read out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from stagecast.features.arguments.values import path as path_of
from stagecast.features.arguments.values import share
from stagecast.features.clock import iso, parse_instant
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.frames.instants import Instant
from stagecast.serving.python.words import speaks_python

if TYPE_CHECKING:
    from stagecast.serving.python.readout import PlanReadOut
    from stagecast.serving.targeting.plan.forecast import Forecast

FORMAT = 1
_GIVE = "the path of a file, like 'autumn.json'"
_LIST = ["rank", "gain", "cost", "play", "stage", "churn_band", "state", "expected_purchase"]
_CONTACT = "contact"


@dataclass(frozen=True, repr=False)
class Plan:
    """Whom to contact and whom to leave alone, and what that is expected to bring.

    Parameters
    ----------
    rows
        The list with both arms, the largest expected gain first, as plain data.
    starts_at
        Start of the window in which orders count, UTC.
    window_days
        Length of the window.
    churn
        What it is to leave: ``inactivity`` or ``cancellation``.
    forecast
        What is expected; None of a plan that was loaded.
    unknown
        Which ids that were asked for are no customers, in sentences; none of a plan that was
        loaded.
    """

    rows: Sequence[Mapping[str, Any]]
    starts_at: datetime
    window_days: int
    churn: str
    forecast: Forecast | None = None
    unknown: tuple[str, ...] = ()

    @property
    def contacts(self) -> pd.DataFrame:
        """Who is to be contacted, index ``customer_id``, the largest expected gain first.

        ``rank``, ``gain`` and ``cost`` (expected of the contact, in money), ``play``, ``stage``,
        ``churn_band``, ``state`` and ``expected_purchase`` (P(order in the window) without a
        contact).
        """
        return self._arm(contacted=True)

    @property
    def holdout(self) -> pd.DataFrame:
        """Who was drawn at random to be left alone; columns as of :attr:`contacts`."""
        return self._arm(contacted=False)

    @property
    def ends_at(self) -> datetime:
        """End of the window, UTC."""
        return self.starts_at + timedelta(days=self.window_days)

    @property
    def curve(self) -> pd.DataFrame:
        """Expected gross, cost and gain of contacting the best so many, index ``contacts``.

        Raises
        ------
        UsageError
            The plan was loaded, and a file has no forecast.
        """
        points = [vars(point) for point in self._forecast().curve.points]
        return pd.DataFrame(points).set_index("contacts")

    @property
    def summary(self) -> pd.Series:
        """What is expected: counts, money, and the gain of other rankings of the same cost."""
        forecast = self._forecast()
        figures: dict[str, float] = {
            "considered": forecast.considered,
            "contacts": forecast.contacts.contacts,
            "held_out": forecast.held_out,
            "gross": forecast.contacts.gross,
            "cost": forecast.contacts.cost,
            "gain": forecast.contacts.gain,
            "holdout_cost": forecast.holdout_cost,
        }
        others = {name: gain for name, gain in forecast.rankings.items() if name != "plan"}
        figures |= {f"gain_by_{name}": gain for name, gain in others.items()}
        figures |= {f"left_out_{reason}": count for reason, count in forecast.left_out.items()}
        return pd.Series(figures, name="plan")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, and the smallest effect that the hold-out can show.

        Ids of ``ids`` and ``do_not_contact`` that are no customers come first.
        """
        forecast = self._forecast()
        shown = [forecast.can_show_buyers, forecast.can_show_money]
        effects = (effect.sentence for effect in shown if effect is not None)
        return (*self.unknown, *forecast.notes, *effects)

    @property
    def digest(self) -> str:
        """SHA-256 of rank, arm and customer of the list, as of a plan in the store."""
        from stagecast.serving.targeting.plan.member_rows import digest_of

        return digest_of(self.rows)

    @speaks_python
    def readout(
        self,
        later: object,
        *,
        until: Instant | None = None,
        margin: float | str = 1.0,
    ) -> PlanReadOut:
        """Return what the plan brought: who was contacted against who was left alone.

        Parameters
        ----------
        later
            A log that reaches beyond the start of the window; or counted outcomes of the whole
            window, a table of pandas, polars or Arrow with ``customer_id`` (index or column),
            ``orders`` and ``spend``, in which who is missing has ordered nothing.
        until
            End of what is looked at in a log; None: the day after its last event.
        margin
            Money earned per money spent by a customer.

        Raises
        ------
        UsageError
            Nobody was held out, or contracts are to be read out from a log of orders.
        NotEnoughDataError
            It is too early, or an arm has fewer than 3 customers.
        DataRefusedError
            None of the customers is in the log, or outcomes name others.
        """
        from stagecast.serving.python.readout import read_out_of

        earned = share(margin, "margin", least=0.0, most=math.inf, above=0.0)
        return read_out_of(self, later, until=until, margin=earned)

    def save(self, file: str | Path) -> Path:
        """Write the list into a JSON file, from which :meth:`load` reads it for the read-out.

        Raises
        ------
        UsageError
            The file exists: a list that was drawn is not replaced by another.
        """
        path = path_of(file, "file", _GIVE)
        document = {
            "format": FORMAT,
            "starts_at": self.starts_at.isoformat(),
            "window_days": self.window_days,
            "churn": self.churn,
            "digest": self.digest,
            "rows": list(self.rows),
        }
        try:
            with path.open("x", encoding="utf-8") as out:
                json.dump(document, out, ensure_ascii=False, allow_nan=False)
        except FileExistsError:
            raise UsageError(
                f"file {path} exists, and the hold-out of a plan cannot be drawn a second time; "
                "give another file"
            ) from None
        except OSError as error:
            raise UsageError(f"file {path} cannot be written: {error.strerror}") from None
        return path

    @classmethod
    def load(cls, file: str | Path) -> Plan:
        """Read the list that :meth:`save` wrote; it can be read out, and has no forecast.

        Raises
        ------
        UsageError
            There is no such file.
        DataRefusedError
            It is not a plan, or was changed.
        """
        path = path_of(file, "file", _GIVE)
        try:
            data = json.loads(path.read_text("utf-8"))
            loaded = cls(
                data["rows"],
                parse_instant(data["starts_at"], "starts_at"),
                int(data["window_days"]),
                str(data["churn"]),
            )
            if data["format"] != FORMAT or loaded.digest != data["digest"]:
                raise ValueError("its list is not the one that was drawn")
        except FileNotFoundError:
            raise UsageError(f"file {path} does not exist; give the file of Plan.save") from None
        except OSError as error:
            raise UsageError(f"file {path} cannot be read: {error.strerror}") from None
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise DataRefusedError(f"{path} is not a plan of this version: {error}") from error
        return loaded

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        held_out = sum(row["arm"] != _CONTACT for row in self.rows)
        money = ""
        if self.forecast is not None:
            expected = self.forecast.contacts
            money = f", expected cost {expected.cost:,.2f} and gain {expected.gain:,.2f}"
        return (
            f"Plan({len(self.rows) - held_out:,} contacts, {held_out:,} held out, "
            f"{iso(self.starts_at)} to {iso(self.ends_at)}{money})"
        )

    def _repr_html_(self) -> str:
        from html import escape

        first = self.contacts.head(10).to_html(float_format="{:,.2f}".format)
        notes = () if self.forecast is None else self.notes
        listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
        return f"<p>{escape(repr(self))}</p>{first}" + (f"<ul>{listed}</ul>" if listed else "")

    def _arm(self, *, contacted: bool) -> pd.DataFrame:
        rows = [row for row in self.rows if (row["arm"] == _CONTACT) == contacted]
        table = pd.DataFrame(rows, columns=["customer_id", *_LIST])
        return table.set_index("customer_id")

    def _forecast(self) -> Forecast:
        if self.forecast is None:
            raise UsageError("this plan was loaded from a file, which has the list alone")
        return self.forecast
