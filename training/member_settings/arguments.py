"""The members that the arguments of a ``Lifecycle`` name, checked."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stagecast.features.errors import UsageError
from stagecast.training.member_settings.ours import OURS
from stagecast.training.member_settings.own import OwnMember
from stagecast.training.member_settings.settings import MemberSettings

_RESERVED = ("rfm", "splines", "share", "recency", "rule")
"""Names that the pool itself gives to members."""


def members_of(
    members: Mapping[str, Any] | None,
    spend: Mapping[str, Any] | None = None,
    orders: Mapping[str, Any] | None = None,
) -> MemberSettings:
    """Return the settings that the arguments of :class:`stagecast.Lifecycle` mean.

    Parameters
    ----------
    members, spend, orders
        Its ``members``, ``spend_members`` and ``orders_members``.

    Raises
    ------
    UsageError
        A name, or what stands under it, is none that the model can have.
    """
    regressors = MemberSettings(
        spend=_regressors("spend_members", spend), orders=_regressors("orders_members", orders)
    )
    if members is None:
        return regressors
    if not isinstance(members, Mapping) or not members:
        raise UsageError(
            f"members must be a dict like {{'btyd': sc.Btyd(), 'trees': sc.Trees()}} with at least "
            f"one member, not {members!r}"
        )
    own: dict[str, OwnMember] = {}
    for name, value in members.items():
        if name in OURS:
            if not isinstance(value, OURS[name]):
                raise UsageError(
                    f"members[{name!r}] is {value!r}; it takes sc.{OURS[name].__name__}(), and a "
                    "member of your own has another name"
                )
        elif isinstance(value, OwnMember):
            _check_name(name, "members")
            if value.regresses:
                raise UsageError(
                    f"members[{name!r}] is a regressor, and the members give P(no purchase): hand "
                    "over a classifier, or the regressor as a member of spend_members or "
                    "orders_members"
                )
            own[name] = value
        elif isinstance(value, tuple(OURS.values())):
            right = next(n for n, kind in OURS.items() if isinstance(value, kind))
            raise UsageError(f"members[{name!r}] is {value!r}, which stands under {right!r}")
        else:
            raise UsageError(
                f"members[{name!r}] is {value!r}; a member of your own is sc.member(classifier), "
                f"ours are {', '.join(OURS)}"
            )
    ours: dict[str, Any] = {name: members.get(name) for name in OURS}
    return replace(regressors, **ours, own=own)


def _regressors(argument: str, members: Mapping[str, Any] | None) -> dict[str, OwnMember]:
    """Return the regressors of the user that an argument names."""
    if members is None:
        return {}
    if not isinstance(members, Mapping) or not members:
        raise UsageError(
            f"{argument} must be a dict like {{'mine': sc.member(regressor)}} with at least one "
            f"member, not {members!r}"
        )
    for name, value in members.items():
        _check_name(name, argument)
        if not isinstance(value, OwnMember) or not value.regresses:
            raise UsageError(
                f"{argument}[{name!r}] is {value!r}; it takes sc.member(regressor), beside our own "
                "models, which always take part"
            )
    return dict(members)


def _check_name(name: object, argument: str) -> None:
    is_name = isinstance(name, str) and name.isascii() and name.isidentifier()
    if not is_name or name in _RESERVED or keyword.iskeyword(str(name)):
        raise UsageError(
            f"{argument}: {name!r} cannot be the name of a member; take letters, digits and _, and "
            f"none of {', '.join(_RESERVED)}"
        )
