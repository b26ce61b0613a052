"""Formulas of a catalogue as SQL expressions, grouped by the order of evaluation."""

from __future__ import annotations

from sqlglot import exp

from stagecast.features.catalog import formula
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import CALENDAR


def formula_levels(catalog: Catalog) -> list[list[tuple[str, exp.Expr]]]:
    """Return the formulas as levels; each level uses only the results of the levels before it.

    Parameters
    ----------
    catalog
        With its parameters set.

    Returns
    -------
    list of levels
        Name and expression of each formula of a level.

    Raises
    ------
    UsageError
        A formula uses a name that is neither an earlier feature nor a parameter.
    """
    catalog.check_filled()
    level_of = {feature.name: 0 for feature in catalog.features if feature.formula is None}
    levels: list[list[tuple[str, exp.Expr]]] = []
    for feature in catalog.features:
        if feature.formula is None:
            continue
        names = formula.names(feature.formula)
        level = level_of[feature.name] = 1 + max(
            (level_of.get(name, 0) for name in names), default=0
        )
        if level > len(levels):
            levels.append([])
        levels[level - 1].append((feature.name, _expression(feature.formula, catalog)))
    return levels


def _expression(text: str, catalog: Catalog) -> exp.Expr:
    """Return a formula as an expression of SQL, with the values of the parameters."""

    def replacement(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        if node.name in catalog.parameters:
            return formula.double_literal(catalog.parameters[node.name])
        return node if node.name in CALENDAR else exp.column(node.name, quoted=True)

    return formula.portable(formula.parse(text)).transform(replacement)
