"""Settings of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stagecast.features.arguments.spans import days_or_span
from stagecast.features.arguments.values import refuse, share, text, texts, whole_number
from stagecast.features.contracts import Terms
from stagecast.features.errors import UsageError
from stagecast.features.shop.offsets import find_zone
from stagecast.training.calendar import Calendar
from stagecast.training.member_settings import MemberSettings
from stagecast.training.reference.rfm_settings import RfmSettings

if TYPE_CHECKING:
    from stagecast.features.catalog.catalog import Catalog
    from stagecast.features.catalog.own import OwnFeatures

Churn = Literal["inactivity", "cancellation"]
CHURN: tuple[Churn, ...] = ("inactivity", "cancellation")


def _nothing_own() -> OwnFeatures:
    from stagecast.features.catalog.own import OwnFeatures  # the catalogue is slow to import

    return OwnFeatures()


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training.

    Parameters
    ----------
    horizon_days
        Length of the span that the probabilities refer to, in days; a text such as ``12w`` and a
        ``timedelta`` become days.
    value_horizon_days
        Length of the span that ``clv`` refers to, in days.
    churn
        What churn is: ``inactivity`` (no purchase within the horizon), or ``cancellation`` (of an
        open contract).
    terms
        Event types that begin, renew and end a contract; used only where churn is ``cancellation``.
    annual_discount
        Annual rate at which later money is discounted; 0.1 is 10 %.
    margin
        Share of the spend that is earned; with 1, ``clv`` is revenue.
    scheme
        Name of a stage scheme, or path of a TOML file.
    pins
        Threshold of the scheme -> value that replaces the one derived from the log.
    known_at_start
        Columns of the table of customers that were known at the first contact: the models of leads
        learn from them, and the user's own features may use them.
    own
        The user's own features, in addition to those of the standard catalogue.
    calendar
        Known occasions, past and to come, such as campaigns.
    rfm
        How RFM scores are cut.
    members
        Members of the model of P(no purchase), and their settings.
    zone
        Zone whose days are counted; a training takes that of its log.
    max_dates
        Largest number of past dates to learn from.
    medium_risk, high_risk
        Churn probability from which the band is ``medium`` and ``high``.
    seed
        Seed of all random draws; the same seed gives the same bytes.

    Raises
    ------
    UsageError
        A setting is outside its range.
    """

    horizon_days: int = 90
    value_horizon_days: int = 365
    churn: Churn = "inactivity"
    terms: Terms = field(default_factory=Terms)
    annual_discount: float = 0.10
    margin: float = 1.0
    scheme: str = "retail"
    pins: Mapping[str, float] = field(default_factory=dict)
    known_at_start: tuple[str, ...] = ()
    own: OwnFeatures = field(default_factory=_nothing_own)
    calendar: Calendar = field(default_factory=Calendar)
    rfm: RfmSettings = field(default_factory=RfmSettings)
    members: MemberSettings = field(default_factory=MemberSettings)
    zone: str = "UTC"
    max_dates: int = 8
    medium_risk: float = 1 / 3
    high_risk: float = 2 / 3
    seed: int = 20110901

    def __post_init__(self) -> None:
        self._read()
        checks = (
            ("horizon_days", 1 <= self.horizon_days <= 3650, "between 1 and 3650 days"),
            ("value_horizon_days", 1 <= self.value_horizon_days <= 3650, "between 1 and 3650 days"),
            ("churn", self.churn in CHURN, f"one of {', '.join(CHURN)}"),
            ("annual_discount", 0 <= self.annual_discount <= 10, "between 0 and 10"),
            ("margin", 0 < self.margin <= 1, "above 0 and at most 1"),
            ("max_dates", 1 <= self.max_dates <= 52, "between 1 and 52"),
            ("high_risk", 0 < self.high_risk < 1, "above medium_risk and below 1"),
            ("medium_risk", 0 < self.medium_risk < self.high_risk, "above 0 and below high_risk"),
        )
        if self.churn == "cancellation" and self.members.of_churn != MemberSettings():
            raise UsageError(
                "members are those of the model of no purchase; with churn='cancellation' leave "
                "members out"
            )
        for name, is_valid, allowed in checks:
            if not is_valid:
                raise UsageError(f"{name} = {getattr(self, name)} must be {allowed}")

    def _read(self) -> None:
        """Read what may be written in several ways, and refuse values of other types."""
        from stagecast.features.stages.scheme_files import (  # slow to import
            check_pins,
            check_scheme_name,
        )

        known = texts(self.known_at_start, "known_at_start", "columns, like ['channel']")
        read: dict[str, Any] = {"known_at_start": known}
        for name in ("horizon_days", "value_horizon_days"):
            read[name] = days_or_span(getattr(self, name), name)
        for name in ("annual_discount", "margin", "medium_risk", "high_risk"):
            value = getattr(self, name)  # its bounds are checked with those of the others
            plain = isinstance(value, float)
            read[name] = float(value) if plain else share(value, name, least=-inf, most=inf)
        for name, least in (("max_dates", -(10**9)), ("seed", 0)):
            give = "a whole number, like 8"
            read[name] = whole_number(getattr(self, name), name, give, least=least)
        give = "the name of a scheme, like 'retail', or the path of a TOML file"
        scheme = self.scheme
        read["scheme"] = str(scheme) if isinstance(scheme, Path) else text(scheme, "scheme", give)
        check_scheme_name(read["scheme"])
        for name, kind, give in (
            ("pins", Mapping, "thresholds with their values, like {'loyal_orders': 5}"),
            ("terms", Terms, "Terms of stagecast.features.contracts"),
            ("calendar", Calendar, "a Calendar of stagecast.training.calendar"),
            ("rfm", RfmSettings, "RfmSettings of stagecast.training.reference.rfm_settings"),
            ("members", MemberSettings, "MemberSettings of stagecast.training.member_settings"),
        ):
            if not isinstance(getattr(self, name), kind):
                refuse(getattr(self, name), name, give)
        check_pins(self.pins, "pins")
        if not hasattr(self.own, "catalog"):
            refuse(self.own, "own", "OwnFeatures of stagecast.features.catalog.own")
        give = "a name like 'Europe/London', or an offset like '+02:00'"
        try:
            find_zone(text(self.zone, "zone", give))
        except UsageError:
            refuse(self.zone, "zone", give)
        for name, value in read.items():
            object.__setattr__(self, name, value)

    @property
    def catalog(self) -> Catalog:
        """The standard catalogue of the horizon with the user's own features, parameters unset."""
        return self.own.catalog(self.horizon_days)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        settings = {f.name: getattr(self, f.name) for f in fields(self)}
        if self.zone == "UTC":  # as bundles of before, so that the model version stays the same
            del settings["zone"]
        if self.members == MemberSettings():
            del settings["members"]
        else:
            settings["members"] = self.members.to_json()
        return {
            **settings,
            "own": self.own.to_json(),
            "terms": self.terms.to_json(),
            "calendar": self.calendar.to_json(),
            "rfm": self.rfm.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainConfig:
        """Read what :meth:`to_json` returns."""
        from stagecast.features.catalog.own import OwnFeatures

        return cls(
            **{
                **data,
                "own": OwnFeatures.from_json(data["own"]),
                "terms": Terms.from_json(data["terms"]),
                "calendar": Calendar.from_json(data["calendar"]),
                "rfm": RfmSettings.from_json(data["rfm"]),
                "members": MemberSettings.from_json(data.get("members")),
            }
        )
