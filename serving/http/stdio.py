"""the tools for an MCP client on this machine, over stdin and stdout."""

from __future__ import annotations

import logging.config
import secrets

import anyio
from pydantic import SecretStr

from stagecast.serving.http.app import create_app
from stagecast.serving.http.json_lines import LOG_CONFIG
from stagecast.serving.http.tools import require_package
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.serving.settings import Settings
from stagecast.serving.store.store import Store


def serve_tools(settings: Settings) -> None:
    """Answer calls of tools on stdin until it ends; nobody else can reach them.

    Parameters
    ----------
    settings
        Names the store, which is only read.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The package is not installed, or the store cannot be opened.
    """
    require_package()
    from stagecast.serving.mcp.inside import Origin
    from stagecast.serving.mcp.server import serve_stdio

    # who may read the store may read what it says, also where its server asks for keys
    key = secrets.token_hex(24)
    update = {
        "api_keys": (SecretStr(key),),
        "read_only": True,
        "model": None,
        "requests_per_minute": None,
        "allowed_hosts": (),
    }
    logging.config.dictConfig(LOG_CONFIG)
    store = Store.open(settings.store, read_only=True)
    try:
        app = create_app(settings.model_copy(update=update), scorer_loader=load_scorer, store=store)
        headers = [(b"host", b"localhost"), (b"x-api-key", key.encode("ascii"))]

        async def serve() -> None:
            async with app.router.lifespan_context(app):
                await serve_stdio(app, Origin(headers, ("127.0.0.1", 0)))

        anyio.run(serve)
    finally:
        store.close()
