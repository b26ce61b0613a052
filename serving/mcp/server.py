"""The tools as a server of the Model Context Protocol: over HTTP beside the API, or over stdio."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from pydantic import ValidationError
from starlette.types import ASGIApp

from stagecast.features.errors import did_you_mean
from stagecast.serving.mcp.inside import Origin, ask
from stagecast.serving.mcp.tools import AS_DATA, TOOLS
from stagecast.serving.quoting import quote

INSTRUCTIONS = (
    "Scores of a shop's customers: who may order nothing (or cancel), how surely, why, and what it "
    "is worth. All tools only read. Probabilities are of the horizon that a score names, in days; "
    f"money is in the shop's currency. {AS_DATA}"
)
Context = Any


def tool_server(app: ASGIApp, origin_of: Callable[[Context], Origin]) -> Server[Any]:
    """Return the server of the tools.

    Parameters
    ----------
    app
        The API with all its middleware, which each tool asks.
    origin_of
        Returns for whom a call is made, given the context of the call.
    """

    async def list_tools(_: Context, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=name,
                    title=tool.title,
                    description=tool.description,
                    input_schema=tool.input_schema,
                    annotations=types.ToolAnnotations(
                        read_only_hint=True,
                        destructive_hint=False,
                        idempotent_hint=True,
                        open_world_hint=False,
                    ),
                )
                for name, tool in TOOLS.items()
            ]
        )

    async def call_tool(
        context: Context, parameters: types.CallToolRequestParams
    ) -> types.CallToolResult:
        return await _call(app, origin_of(context), parameters.name, parameters.arguments or {})

    return Server(
        "stagecast",
        version=version("stagecast"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def http_manager(app: ASGIApp, max_body_bytes: int) -> StreamableHTTPSessionManager:
    """Return what handles requests over HTTP: each alone, without sessions, answered as JSON.

    Parameters
    ----------
    app
        The API; a tool is called with the key of the request that calls it.
    max_body_bytes
        Maximum length of a request, in bytes.
    """
    return StreamableHTTPSessionManager(
        tool_server(app, lambda context: Origin.of(context.request.scope)),
        json_response=True,
        stateless=True,
        max_request_body_size=max_body_bytes,
    )


async def serve_stdio(app: ASGIApp, origin: Origin) -> None:
    """Answer calls on stdin until it ends."""
    from mcp.server.stdio import stdio_server

    server = tool_server(app, lambda _: origin)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


async def _call(
    app: ASGIApp, origin: Origin, name: str, arguments: dict[str, Any]
) -> types.CallToolResult:
    tool = TOOLS.get(name)
    if tool is None:
        hint = did_you_mean(name[:100], tuple(TOOLS))
        return _refused(f"there is no tool '{quote(name)}'.{hint} There are {', '.join(TOOLS)}")
    try:
        asked = tool.arguments.model_validate(arguments)
    except ValidationError as error:
        return _refused("; ".join(_fault(dict(item)) for item in error.errors()[:5]))
    request = asked.request()
    answer = await ask(app, origin, request.method, request.path, request.query, request.body)
    try:
        content = json.loads(answer.body)
    except ValueError:
        content = {}
    if answer.status >= 400 or not isinstance(content, dict):
        retry = answer.headers.get("retry-after")
        after = "" if retry is None else f"; try again after {retry} s"
        return _refused(f"{answer.status}: {content.get('detail', 'no answer')}{after}")
    result = asked.result(content)
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structured_content=result
    )


def _fault(item: dict[str, Any]) -> str:
    where = ".".join(str(step) for step in item["loc"]) or "arguments"
    return f"{quote(where)}: {item['msg']}"


def _refused(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)
