"""The settings of a :class:`~stagecast.serving.python.lifecycle.Lifecycle`, as a training takes
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from stagecast.features.arguments.values import share, texts
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.frames.instants import as_days

if TYPE_CHECKING:
    from stagecast.features.catalog.own import OwnFeatures
    from stagecast.training.config import TrainConfig

CONTRACTS = {"contract_start": "starts", "contract_renewal": "renewals", "contract_end": "ends"}
"""Argument -> field of :class:`~stagecast.features.contracts.Terms`."""
POOLS = ("members", "spend_members", "orders_members")
"""Arguments that hold members by name."""


def config_of(parameters: Mapping[str, Any], own: OwnFeatures) -> TrainConfig:
    """Return the settings of a training.

    Parameters
    ----------
    parameters
        As ``Lifecycle.get_params`` returns them; settings of members stand in the members.
    own
        Features of the log beside those of the standard catalogue.

    Raises
    ------
    UsageError
        One of them cannot be used.
    """
    from stagecast.features.catalog.python_feature import own_features
    from stagecast.features.contracts import Terms
    from stagecast.features.stages.scheme_files import check_pins, load_scheme
    from stagecast.training.calendar import Calendar
    from stagecast.training.config import TrainConfig
    from stagecast.training.member_settings import members_of
    from stagecast.training.reference.rfm_settings import RfmSettings

    options = {name: value for name, value in parameters.items() if "__" not in name}
    terms: dict[str, Any] = {
        field: texts(options.pop(name), name, "types of events, like ['subscribe']")
        for name, field in CONTRACTS.items()
    }
    if options["churn"] != "cancellation" and any(terms.values()):
        name = next(name for name, field in CONTRACTS.items() if terms[field])
        raise UsageError(f"{name} tells of contracts: it needs churn='cancellation'")
    features = options.pop("features")
    own = own if features is None else own_features(features, own)
    own.catalog(90)  # an unknown name in a formula is refused before anything is learned
    load_scheme(options["scheme"])  # one that is none is refused before anything is learned
    return TrainConfig(
        horizon_days=as_days(options.pop("horizon")),
        value_horizon_days=as_days(options.pop("value_horizon"), "value_horizon"),
        annual_discount=share(options.pop("discount"), "discount", most=10.0),
        pins=check_pins(options.pop("pins") or {}, "pins"),
        calendar=_or_default(options.pop("calendar"), Calendar()),
        rfm=_or_default(options.pop("rfm"), RfmSettings()),
        terms=Terms(**{field: types for field, types in terms.items() if types}),
        own=own,
        members=members_of(
            options.pop("members"), options.pop("spend_members"), options.pop("orders_members")
        ),
        **options,
    )


def _or_default(value: Any, default: Any) -> Any:
    return default if value is None else value


def parameters_of(config: TrainConfig) -> dict[str, Any]:
    """Return the parameters of the settings that a bundle was trained with."""
    from stagecast.features.catalog.python_feature import OwnFeature
    from stagecast.features.contracts import Terms
    from stagecast.training.calendar import Calendar
    from stagecast.training.member_settings import MemberSettings
    from stagecast.training.reference.rfm_settings import RfmSettings

    usual = Terms()
    parts = {name: getattr(config.terms, part) for name, part in CONTRACTS.items()}
    terms = {
        name: None if types == getattr(usual, CONTRACTS[name]) else list(types)
        for name, types in parts.items()
    }
    return {
        "horizon": f"{config.horizon_days}d",
        "value_horizon": f"{config.value_horizon_days}d",
        "scheme": config.scheme,
        "churn": config.churn,
        **terms,
        "discount": config.annual_discount,
        "margin": config.margin,
        "pins": dict(config.pins) or None,
        "calendar": None if config.calendar == Calendar() else config.calendar,
        "rfm": None if config.rfm == RfmSettings() else config.rfm,
        "features": [OwnFeature.of_catalog(feature) for feature in config.own.features] or None,
        "members": None
        if config.members.of_churn == MemberSettings()
        else config.members.as_mapping(),
        "spend_members": dict(config.members.spend) or None,
        "orders_members": dict(config.members.orders) or None,
        "max_dates": config.max_dates,
        "medium_risk": config.medium_risk,
        "high_risk": config.high_risk,
        "seed": config.seed,
    }


def nested(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return members and their settings, such as ``members__trees__leaves``, by name.

    Parameters
    ----------
    parameters
        Of a ``Lifecycle``, by name.
    """
    settings: dict[str, Any] = {}
    for argument in POOLS:
        for name, member in _pool(parameters, argument).items():
            prefix = f"{argument}__{name}"
            settings[prefix] = member
            settings |= {f"{prefix}__{key}": value for key, value in _settings(member).items()}
    return settings


def with_nested(parameters: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return the pool that a nested name belongs to, changed, under its argument.

    Parameters
    ----------
    parameters
        Of a ``Lifecycle``, by name; they stay as they are.
    name
        A member, such as ``members__trees``, or one of its settings, ``members__trees__leaves``.
    value
        The member, None to leave it out; or the setting.

    Raises
    ------
    UsageError
        There is no such member or setting, or the value cannot be used.
    """
    argument, member_name, setting = (*name.split("__", 2), "")[:3]
    pool = _pool(parameters, argument)
    if not setting:
        pool.pop(member_name, None)
        pool |= {} if value is None else {member_name: value}
        # without a regressor of the user, money has the usual models
        return {argument: pool or (pool if argument == "members" else None)}
    if member_name not in pool:
        raise UsageError(
            f"{name}: {argument} has no {member_name!r}.{did_you_mean(member_name, pool)} "
            f"It has: {', '.join(pool) or 'none'}"
        )
    known = _settings(pool[member_name])
    if setting not in known:
        raise UsageError(
            f"{name}: {pool[member_name]!r} has no setting {setting!r}."
            f"{did_you_mean(setting, known)} It has: {', '.join(known) or 'none'}"
        )
    return {argument: {**pool, member_name: _changed(pool[member_name], setting, value)}}


def _pool(parameters: Mapping[str, Any], argument: str) -> dict[str, Any]:
    """Return the members of an argument; the usual ones where it names none."""
    from stagecast.training.member_settings import MemberSettings

    pool = parameters[argument]
    if pool is None and argument == "members" and parameters["churn"] == "inactivity":
        return MemberSettings().as_mapping()
    return dict(pool) if isinstance(pool, Mapping) else {}


def _settings(member: Any) -> dict[str, Any]:
    from stagecast.training.member_settings import OwnMember

    if isinstance(member, OwnMember):
        return {} if member.estimator is None else dict(member.estimator.get_params())
    return {f.name: getattr(member, f.name) for f in fields(member)}


def _changed(old: Any, setting: str, value: Any) -> Any:
    from stagecast.training.member_settings import OwnMember, member

    if isinstance(old, OwnMember):
        from sklearn.base import clone

        return member(clone(old.estimator).set_params(**{setting: value}))
    return replace(old, **{setting: value})
