"""Parts of which the schemas of the OpenAPI document are made."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def object_schema(
    properties: dict[str, Any], description: str, optional: Collection[str] = ()
) -> dict[str, Any]:
    """Return the schema of an object.

    Parameters
    ----------
    properties
        Name of a property -> its schema.
    description
        What it is.
    optional
        Properties that may be left out.

    >>> object_schema({"a": {"type": "string"}}, "it")["required"]
    ['a']
    """
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": sorted(set(properties).difference(optional)),
    }
