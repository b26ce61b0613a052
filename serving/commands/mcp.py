"""``stagecast mcp``: the published scores as tools of an MCP client on this machine, over stdio."""

from __future__ import annotations

import click

from stagecast.serving.commands.store_option import store_option


@click.command()
@store_option
def mcp(store: str | None) -> None:
    """Tools for an MCP client on this machine, which speaks over stdin and stdout.

    The client starts this command. The tools only read: the store is opened so that nothing can
    be written. A server answers the same tools at /mcp where STAGECAST_MCP is set. Needs:
    pip install 'stagecast[mcp]'.
    """
    from stagecast.serving.http.stdio import serve_tools
    from stagecast.serving.settings import load_settings

    serve_tools(load_settings(store=store))
