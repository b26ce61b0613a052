"""``stagecast keys``: who may do what on the server, and until when."""

from __future__ import annotations

from typing import Literal

import click

from stagecast.features.clock import parse_span_days
from stagecast.features.errors import UsageError
from stagecast.serving.commands.console import show, show_json
from stagecast.serving.commands.options import common, span_days
from stagecast.serving.commands.store_option import StoreOption, store_option

EXPIRES_DEFAULT = "90d"
EXPIRES_DAYS_MAX = 3_650


def _lifetime(
    _: click.Context, option: click.Parameter, value: str | None
) -> int | Literal["same"] | None:
    """Return a span in days, None for ``never``, ``same`` where the option was left out."""
    if value is None:
        return "same"
    if value.strip().lower() == "never":
        return None
    days = parse_span_days(value, option.opts[0])
    if days > EXPIRES_DAYS_MAX:
        raise UsageError(
            f"{option.opts[0]} '{value}' is beyond {EXPIRES_DAYS_MAX} days; write 'never' for a "
            "key that ends when it is revoked"
        )
    return days


@click.group()
def keys() -> None:
    """API keys of the server: who may do what, and until when."""


@keys.command()
@click.argument("name")
@click.option(
    "--scopes",
    required=True,
    metavar="LIST",
    help="What it may do, comma-separated: score, read, plan, export, admin.",
)
@click.option(
    "--expires",
    metavar="SPAN",
    default=EXPIRES_DEFAULT,
    show_default=True,
    callback=_lifetime,
    help="How long it is valid, like 90d, or never.",
)
@store_option
@common
def create(name: str, scopes: str, expires: int | None, store: StoreOption, as_json: bool) -> None:
    """Make a key and show it once; the store holds only a hash of it."""
    from stagecast.serving.commands.key_lines import made_json, made_lines
    from stagecast.serving.jobs.keys import create_key
    from stagecast.serving.keys.scopes import parse_scopes

    made = create_key(name, parse_scopes(scopes), expires, store=store)
    if as_json:
        show_json(made_json(made))
    else:
        show(made_lines(made))


@keys.command("list")
@store_option
@common
def list_keys(store: StoreOption, as_json: bool) -> None:
    """All keys, the newest first, without their secrets."""
    from stagecast.serving.commands.key_lines import list_lines
    from stagecast.serving.jobs.keys import open_keys, present

    now = present()
    with open_keys(store) as book:
        all_keys = book.all_keys()
    if as_json:
        show_json([key.to_json(now) for key in all_keys])
    else:
        show(list_lines(all_keys, now))


@keys.command()
@click.argument("key_id", metavar="ID")
@store_option
@common
def revoke(key_id: str, store: StoreOption, as_json: bool) -> None:
    """End a key for good; running servers refuse it within 5 seconds."""
    from stagecast.serving.jobs.keys import present, revoke_key

    key = revoke_key(key_id, store=store)
    if as_json:
        show_json(key.to_json(present()))
    else:
        show([f"Key {key.id} of {key.name} is revoked; servers refuse it within 5 seconds."])


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap",
    metavar="SPAN",
    default="1d",
    show_default=True,
    callback=span_days,
    help="How long the old key is still valid.",
)
@click.option(
    "--expires",
    metavar="SPAN",
    callback=_lifetime,
    help="How long the new key is valid; default: as long as the old one was made for.",
)
@store_option
@common
def rotate(
    key_id: str,
    overlap: int,
    expires: int | Literal["same"] | None,
    store: StoreOption,
    as_json: bool,
) -> None:
    """Make a key in the place of another, which is valid for a while yet.

    Give the new key to the program within that time. A name has two live keys at most.
    """
    from stagecast.serving.commands.key_lines import made_json, made_lines
    from stagecast.serving.jobs.keys import rotate_key

    made = rotate_key(key_id, overlap, expires, store=store)
    if as_json:
        show_json(made_json(made))
    else:
        show([*made_lines(made), f"The old key ends in {overlap} days at the latest."])
