"""Content of the API page: each operation with its parameters, an example and a curl command."""

from __future__ import annotations

import json
from typing import Any


def api_reference(document: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Return the variables of the template: ``operations``, and ``fields`` of a score.

    Parameters
    ----------
    document
        The OpenAPI document.
    base
        URL of the server, such as ``http://127.0.0.1:8000``.
    """
    operations = [
        _operation(path, method, operation, base_url)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    score = document["components"]["schemas"]["Score"]["properties"]
    fields = [
        {"name": name, "type": _type(field), "meaning": field["description"]}
        for name, field in score.items()
    ]
    return {"operations": operations, "fields": fields}


def _operation(path: str, method: str, operation: dict[str, Any], base_url: str) -> dict[str, Any]:
    body = _example(operation.get("requestBody", {}))
    responses = operation.get("responses", {})
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": [
            {
                "name": parameter["name"],
                "place": parameter["in"],
                "type": _type(parameter["schema"]),
                "required": parameter.get("required", False),
                "meaning": parameter.get("description")
                or parameter["schema"].get("description", ""),
            }
            for parameter in operation.get("parameters", [])
        ],
        "body": None if body is None else json.dumps(body, indent=2),
        "answer": _indented_json(_example(responses.get("200", {}))),
        "answers": [
            {"status": status, "meaning": response["description"]}
            for status, response in responses.items()
        ],
        "curl": _curl(method, base_url + path.replace("{customer_id}", "17850"), body),
    }


def _example(message: dict[str, Any]) -> Any:
    return message.get("content", {}).get("application/json", {}).get("example")


def _indented_json(example: Any) -> str | None:
    return None if example is None else json.dumps(example, indent=2)


def _curl(method: str, url: str, body: Any) -> str:
    if body is None:
        return f"curl {url}" if method == "get" else f"curl -X {method.upper()} {url}"
    return f"curl {url} \\\n  -H 'Content-Type: application/json' \\\n  -d '{json.dumps(body)}'"


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " | ".join(text for text in map(_type, schema["anyOf"]) if text != "null")
    types = schema.get("type", "object")
    if types == "array":
        return f"list of {_type(schema.get('items', {}))}"
    text = {"date-time": "instant", "date": "date"}.get(schema.get("format", ""), "string")
    return " | ".join(
        text if type_name == "string" else type_name
        for type_name in ([types] if isinstance(types, str) else types)
    )
