"""Query parameters as an HTML form sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def drop_empty(values: Any) -> Any:
    """Return the parameters without the empty ones, which a form sends for every field.

    >>> drop_empty({"q": "", "stage": ["", "new"], "band": []})
    {'stage': ['new']}
    """
    if not isinstance(values, dict):
        return values
    parameters = {
        name: [item for item in value if item != ""] if isinstance(value, list) else value
        for name, value in values.items()
    }
    return {name: value for name, value in parameters.items() if value not in ("", [])}


def with_both_names(values: Any, earlier_names: Mapping[str, str]) -> Any:
    """Return parameters with the value of each under its name and under its earlier one.

    Parameters
    ----------
    values
        The parameters.
    earlier_names
        Name of a parameter -> its earlier name.

    Raises
    ------
    ValueError
        One has a value under both, which are not the same.

    >>> with_both_names({"q": "a"}, {"customer_id_prefix": "q"})
    {'q': 'a', 'customer_id_prefix': 'a'}
    """
    if not isinstance(values, dict):
        return values
    result = dict(values)
    for name, earlier in earlier_names.items():
        both = [values[key] for key in (name, earlier) if key in values]
        if len(both) == 2 and both[0] != both[1]:
            raise ValueError(f"{name} and its earlier name {earlier} differ; give {name} alone")
        if both:
            result[name] = result[earlier] = both[0]
    return result
