"""Options of a log with what its preset declares; what the user declares takes its place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any

from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.presets import PRESETS, apply_preset


def with_preset(options: ReadOptions, columns: Collection[str], source: str) -> ReadOptions:
    """Return the options with what their preset declares for a source; unchanged without a preset.

    A condition of the user's own holds in addition to that of the preset.

    Parameters
    ----------
    options
        The user's options.
    columns
        Names of the columns of the source.
    source
        Its name in error messages.

    Raises
    ------
    DataRefusedError
        The source is not the export that the preset is for.
    """
    if options.preset is None:
        return options
    applied = apply_preset(options.preset, columns, source)
    mapping = replace(
        options.mapping,
        **{
            part.name: applied.parts[part.name]
            for part in fields(options.mapping)
            if getattr(options.mapping, part.name) is None and part.name in applied.parts
        },
    )
    defaults = {field.name: field.default for field in fields(ReadOptions)}
    settings: dict[str, Any] = {
        name: value
        for name, value in applied.options.items()
        if getattr(options, name) == defaults[name]
    }
    conditions = [text for text in (applied.where, options.where) if text is not None]
    where = " AND ".join(f"({text})" for text in conditions) or None
    return replace(options, mapping=mapping, where=where, **settings)


def describe_preset(options: ReadOptions) -> dict[str, Any] | None:
    """Return what a preset declared, for the data report; None without a preset.

    Parameters
    ----------
    options
        As :func:`with_preset` returns them.
    """
    if options.preset is None:
        return None
    mapped = {part.name: getattr(options.mapping, part.name) for part in fields(options.mapping)}
    return {
        "name": options.preset,
        "title": PRESETS[options.preset].title,
        "columns": {part: column for part, column in mapped.items() if column is not None},
        "where": options.where,
    }
