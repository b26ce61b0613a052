"""Query parameters as an HTML form sends them."""

from __future__ import annotations

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
