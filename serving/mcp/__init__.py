"""Tools by which an MCP client reads what the API answers (Model Context Protocol).

    a tool's arguments -> a request to the API in this process -> its answer as the tool's result

The package ``mcp`` is imported by :mod:`stagecast.serving.mcp.server` alone, which is loaded where
the tools are switched on.
"""
