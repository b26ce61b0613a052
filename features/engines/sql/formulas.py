"""The formulas of a catalogue as expressions of SQL, in the order in which they can be
evaluated.
"""

from __future__ import annotations

from sqlglot import exp

from stagecast.features.catalog import formula
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import CALENDAR


def levels(catalog: Catalog) -> list[list[tuple[str, exp.Expr]]]:
    """Return the formulas as levels, each of which needs nothing but what stands before it.

    Raises
    ------
    UsageError
        A formula names neither a feature before it nor a parameter of the catalogue.
    """
    catalog.check_filled()
    level_of = {feature.name: 0 for feature in catalog.features if feature.formula is None}
    found: list[list[tuple[str, exp.Expr]]] = []
    for feature in catalog.features:
        if feature.formula is None:
            continue
        names = formula.names(feature.formula)
        level = level_of[feature.name] = 1 + max(
            (level_of.get(name, 0) for name in names), default=0
        )
        if level > len(found):
            found.append([])
        found[level - 1].append((feature.name, _filled(feature.formula, catalog)))
    return found


def _filled(text: str, catalog: Catalog) -> exp.Expr:
    """Return a formula as engines evaluate it, with the parameters in their places."""

    def fill(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        if node.name in catalog.parameters:
            return formula.double(catalog.parameters[node.name])
        return node if node.name in CALENDAR else exp.column(node.name, quoted=True)

    return formula.portable(formula.parse(text)).transform(fill)
