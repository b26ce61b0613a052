"""The server: one file per resource in ``routes``, what they share beside it.

    server (start) -> app -> routes <- state (what a running server holds), auth, headers
    bodies (requests) -> incoming (events)      failures, problems (errors), openapi, api_page

Room is left here for what comes next: a faster hot route, keys in the store, model swaps.
"""
