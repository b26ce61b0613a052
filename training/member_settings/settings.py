"""The members that a training uses, as its configuration and its bundle hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from stagecast.training.member_settings.ours import OURS, Btyd, Hazard, Regression, Trees
from stagecast.training.member_settings.own import OwnMember


@dataclass(frozen=True)
class MemberSettings:
    """Members of the models; None where one of the model of P(no purchase) is left out.

    Parameters
    ----------
    btyd, trees, regression, hazard
        Settings of our members of the model of P(no purchase).
    own
        Name -> member of the user beside these.
    spend, orders
        Name -> regressor of the user of the spend per order, and of the orders of those who order.
    """

    btyd: Btyd | None = field(default_factory=Btyd)
    trees: Trees | None = field(default_factory=Trees)
    regression: Regression | None = field(default_factory=Regression)
    hazard: Hazard | None = field(default_factory=Hazard)
    own: Mapping[str, OwnMember] = field(default_factory=dict)
    spend: Mapping[str, OwnMember] = field(default_factory=dict)
    orders: Mapping[str, OwnMember] = field(default_factory=dict)

    @property
    def of_churn(self) -> MemberSettings:
        """The settings without the regressors of the user."""
        return replace(self, spend={}, orders={})

    @property
    def base(self) -> Btyd:
        """Settings of the customer-base models, which are fitted for the value in any case."""
        return self.btyd or Btyd()

    def uses(self, name: str) -> bool:
        """Return whether a member of the pool is used, by the name that the pool gives it."""
        part = "regression" if name in ("rfm", "splines") else name
        return getattr(self, part, True) is not None

    def with_estimators(self, fitted: Mapping[str, Any]) -> MemberSettings:
        """Return the settings with the estimators of fitted members of the user, not fitted.

        Regressors are named with what they predict, such as ``spend.mine``.
        """
        from sklearn.base import clone

        def part(members: Mapping[str, OwnMember], prefix: str = "") -> dict[str, OwnMember]:
            return {
                name: replace(member, estimator=clone(fitted[prefix + name]))
                if prefix + name in fitted
                else member
                for name, member in members.items()
            }

        return replace(
            self,
            own=part(self.own),
            spend=part(self.spend, "spend."),
            orders=part(self.orders, "orders."),
        )

    def as_mapping(self) -> dict[str, Any]:
        """Return the members of churn, as the argument ``members`` of ``Lifecycle`` has them."""
        ours = {name: getattr(self, name) for name in OURS}
        return {**{name: value for name, value in ours.items() if value is not None}, **self.own}

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data; of members of the user, how they print themselves."""
        ours = {name: getattr(self, name) for name in OURS}
        if self.hazard is None:  # as bundles of before there was one
            del ours["hazard"]
        return {
            **{name: None if value is None else asdict(value) for name, value in ours.items()},
            "own": {name: own.text for name, own in self.own.items()},
            **{
                part: {name: own.text for name, own in getattr(self, part).items()}
                for part in ("spend", "orders")
                if getattr(self, part)
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> MemberSettings:
        """Read what :meth:`to_json` returns; None are the defaults."""
        if data is None:
            return cls()
        stored = {"hazard": None, **data}
        ours = {n: None if stored[n] is None else kind(**stored[n]) for n, kind in OURS.items()}
        own, spend, orders = (
            {
                str(name): OwnMember(None, str(text), part != "own")
                for name, text in data.get(part, {}).items()
            }
            for part in ("own", "spend", "orders")
        )
        return cls(**ours, own=own, spend=spend, orders=orders)
