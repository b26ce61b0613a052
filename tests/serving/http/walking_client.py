"""A client that is made from an OpenAPI document alone: a function for each operation.

It sends what the document says may be sent, and checks that each answer is one that the document
declares: its status, its form, and for JSON every field of its schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema

from tests.serving.web import Client

INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")
FORMATS = jsonschema.FormatChecker()
"""Formats of JSON Schema; jsonschema alone does not check ``date-time``."""


@FORMATS.checks("date-time")
def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or INSTANT.fullmatch(value) is not None


class WalkingClient:
    """Calls the operations of a document by their ids.

    Parameters
    ----------
    http
        Sends the requests.
    document
        The OpenAPI document.
    """

    def __init__(self, http: Client, document: Mapping[str, Any]) -> None:
        self._http, self._components = http, document["components"]
        self.operations: dict[str, tuple[str, str, Mapping[str, Any]]] = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        }

    def check(self, value: Any, schema: Mapping[str, Any]) -> None:
        """Fail where a value is not of a schema of the document."""
        whole = {**schema, "components": self._components}
        validator = jsonschema.Draft202012Validator(whole, format_checker=FORMATS)
        validator.validate(value)

    def example(self, name: str) -> Any:
        """Return the example of the body of an operation."""
        _, _, operation = self.operations[name]
        return operation["requestBody"]["content"]["application/json"]["example"]

    def call(self, name: str, body: Any = None, /, **parameters: Any) -> httpx.Response:
        """Call an operation, and return its answer, which the document declares."""
        method, path, operation = self.operations[name]
        declared = {parameter["name"]: parameter for parameter in operation.get("parameters", ())}
        required = {n for n, parameter in declared.items() if parameter.get("required")}
        assert required <= parameters.keys() <= declared.keys(), (name, declared.keys())
        query, headers = {}, {"content-type": "application/json"}
        for key, value in parameters.items():
            self.check(value, declared[key]["schema"])
            if declared[key]["in"] == "path":
                path = path.replace(f"{{{key}}}", quote(str(value), safe=""))
            else:
                (query if declared[key]["in"] == "query" else headers)[key] = value
        more: dict[str, Any] = {}
        if "requestBody" in operation:
            body = self.example(name) if body is None else body
            self.check(body, operation["requestBody"]["content"]["application/json"]["schema"])
            more["json"] = body
        answer = self._http.request(method, path, params=query, headers=headers, **more)
        self._check_answer(name, operation, answer)
        return answer

    def _check_answer(
        self, name: str, operation: Mapping[str, Any], answer: httpx.Response
    ) -> None:
        declared = operation["responses"].get(str(answer.status_code))
        assert declared is not None, (name, answer.status_code, answer.text[:300])
        if not answer.content:
            assert not declared.get("content"), name
            return
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in declared["content"], (name, kind)
        if kind in ("application/json", "application/problem+json"):
            self.check(answer.json(), declared["content"][kind]["schema"])
