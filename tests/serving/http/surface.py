"""What the OpenAPI document promises, as short lines that may only grow.

``python -m tests.serving.http.surface`` writes what a new version adds to ``surface.json``; it does
not take anything away, so that a promise that is broken stays to be seen in the difference.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("surface.json")


def surface(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the promises of a document by operation, and by schema.

    ``asks`` begins what a caller may send, ``must`` what they must; ``gives`` what an answer
    always has, ``may`` what it can have; ``status`` which answers there are.
    """
    promises = {
        f"{method.upper()} {path}": sorted(set(_operation(operation)))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    for name, schema in document["components"]["schemas"].items():
        words = ("asks", "must") if name.endswith("Body") else ("may", "gives")
        promises[f"schema {name}"] = sorted(set(_fields(schema, name, words)))
    return promises


def broken(earlier: Mapping[str, list[str]], now: Mapping[str, list[str]]) -> list[str]:
    """Return what a caller of the earlier document relies on and the later one breaks.

    What an answer gives must stay, what may be sent must stay with all its values, what must be
    sent must not grow. What an answer may have can become what it always has.
    """
    faults = []
    for name, lines in earlier.items():
        if name not in now:
            faults.append(f"{name}: is gone")
            continue
        present = set(now[name])
        always = {line.removeprefix("gives ") for line in present if line.startswith("gives ")}
        for line in lines:
            kind, _, rest = line.partition(" ")
            stays = line in present or (kind == "may" and rest in always) or kind == "must"
            if not stays:
                faults.append(f"{name}: no longer {line}")
        known = {line for line in lines if line.startswith("must ")}
        new = {line for line in present if line.startswith("must ")} - known
        asked = {line.removeprefix("asks ") for line in lines if line.startswith("asks ")}
        for line in sorted(new):
            # what must stand in an object that is new itself is no burden for those of before
            parent = line.removeprefix("must ").rpartition(".")[0].removesuffix("[]")
            if parent.count(".") == 0 or parent in asked:
                faults.append(f"{name}: now {line}")
    return faults


def _operation(operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"operation {operation['operationId']}"
    for scope in operation.get("x-scopes", ()):
        yield f"scope {scope}"
    for parameter in operation.get("parameters", ()):
        place = f"{parameter['in']}.{parameter['name']}"
        yield f"asks {place}"
        yield from (f"takes {place}={value}" for value in _values(parameter["schema"]))
        if parameter.get("required"):
            yield f"must {place}"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        yield from _fields(body["schema"], "body", ("asks", "must"))
    for status, response in operation["responses"].items():
        yield f"status {status}"
        for kind, content in response.get("content", {}).items():
            if status.startswith("2"):
                yield f"form {status} {kind}"
                yield from _fields(content["schema"], status, ("may", "gives"))


def _fields(schema: Mapping[str, Any], place: str, words: tuple[str, str]) -> Iterator[str]:
    """Yield the fields of a schema: with the first word those that may be there, else the other."""
    may, must = words
    if "$ref" in schema:
        yield f"is {place}={schema['$ref'].rpartition('/')[2]}"
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from _fields(choice, place, words)
    if "items" in schema:
        yield from _fields(schema["items"], f"{place}[]", words)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        path = f"{place}.{name}"
        if may == "asks":
            yield f"asks {path}"
            yield from (f"takes {path}={value}" for value in _values(field))
            if name in required:
                yield f"must {path}"
        else:
            yield f"{must if name in required else may} {path}"
        yield from _fields(field, path, words)


def _values(schema: Mapping[str, Any]) -> Iterator[Any]:
    yield from schema.get("enum", ())
    if "const" in schema:
        yield schema["const"]
    for choice in schema.get("anyOf", ()):
        yield from _values(choice)
    if "items" in schema:
        yield from _values(schema["items"])


def document_now() -> dict[str, Any]:
    """Return the document of the server of this version."""
    from tests.serving import web

    with tempfile.TemporaryDirectory() as folder:
        document: dict[str, Any] = web.app_with(Path(folder)).openapi()
    return document


def main() -> None:
    """Add what is new to the file."""
    stored = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    for name, lines in surface(document_now()).items():
        stored[name] = sorted({*stored.get(name, ()), *lines})
    FILE.write_text(json.dumps(stored, indent=0, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
