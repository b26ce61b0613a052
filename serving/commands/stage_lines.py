"""What commands print of stages: how many customers stand on each, one customer explained, the
schemes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stagecast.features.stages.lifecycle import merged_sentences
from stagecast.features.stages.scheme import LANGUAGES, Scheme, rule_text
from stagecast.features.stages.unreached import unreached_sentences
from stagecast.serving.commands.console import table

if TYPE_CHECKING:
    from stagecast.serving.jobs.stages import StageFiles


def stage_lines(
    counts: Mapping[str, int], scheme: Scheme, merged: Mapping[str, tuple[str, ...]] | None = None
) -> list[str]:
    """Return customers per stage, the thresholds that the rules compare with, and the stages
    that are merged.
    """
    total = max(sum(counts.values()), 1)
    rows = [["stage", "customers", "share", "meaning"]]
    for name, count in counts.items():
        rows.append([name, f"{count:,}", f"{count / total:.1%}", scheme[name].meaning["en"]])
    lines = table(rows, {1, 2})
    named = sorted({c.bound for c in scheme.conditions if not c.is_number})
    if named:
        lines.append("thresholds: " + ", ".join(_threshold(scheme, name) for name in named))
    return [*lines, *merged_sentences(scheme, merged or {})]


def _threshold(scheme: Scheme, name: str) -> str:
    value = scheme.thresholds[name]
    text = "never" if math.isinf(value) else _number(value)
    origin = " (pinned)" if name in scheme.pins else " (assumed)" * (name in scheme.assumed)
    return f"{name} {text}{origin}"


def _number(value: float) -> str:
    """Return a number with six digits, or all of them that stand before the decimal point."""
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.6g}"


def written_lines(written: StageFiles) -> list[str]:
    """Return what `stages` prints: one customer explained, or how many stand on each stage; and
    the files.
    """
    if written.explained is not None:
        lines = explained_lines(written.explained)
    else:
        life = written.stages.life
        lines = stage_lines(written.stages.counts, life.scheme, life.merged)
        lines += unreached_sentences(life.scheme)
    return [*lines, *(f"written: {path}" for path in written.files.values())]


def explained_lines(explained: Mapping[str, Any]) -> list[str]:
    """Return one customer's stages, as
    :func:`stagecast.serving.jobs.stage_explanation.explain` gives them.
    """
    group = f", group {explained['group']}" if explained["group"] else ""
    facts = ", ".join(
        f"{name} {'unknown' if value is None else _number(value)}"
        for name, value in explained["facts"].items()
    )
    lines = [
        (
            f"{explained['customer_id']} at {explained['as_of']}: {explained['title']['en']} "
            f"({explained['scheme']}/{explained['stage']}{group})"
        ),
        f"  {explained['meaning']}",
        f"  since  {explained['since']}",
        f"  rule   {explained['rule']}",
        f"  facts  {facts}",
        f"  do     {explained['action']}",
        "",
        *_spells("stage", explained["history"]),
    ]
    if explained["if_silent"]:
        lines += ["", *_spells("if nothing happens", explained["if_silent"])]
    return lines


def _spells(head: str, spells: list[Mapping[str, Any]]) -> list[str]:
    rows = [[spell["stage"], spell["from"], spell["rule"]] for spell in spells]
    return table([[head, "from", "rule"], *rows], set())


def scheme_lines(scheme: Scheme) -> list[str]:
    """Return a scheme: its titles and source, its stages with titles, rules and meanings, its
    groups.
    """
    titles = [scheme.title[language] for language in dict.fromkeys((scheme.language, "en"))]
    source = f" ({scheme.source})" if scheme.source else ""
    heads = ["stage", *LANGUAGES, "rule", "meaning"]
    rows = [
        [
            stage.id,
            *(stage.title.get(language, "") for language in LANGUAGES),
            stage.rule_text,
            stage.meaning["en"],
        ]
        for stage in scheme.stages
    ]
    return [
        "",
        f"{scheme.id}: {' / '.join(titles)}{source}",
        *table([heads, *rows], set()),
        *(f"  group {group.id}: {rule_text(group.rule)}" for group in scheme.groups),
    ]
