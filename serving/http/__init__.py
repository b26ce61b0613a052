"""The HTTP server: one file per resource in ``routes``; this folder holds what the routes share.

server (start) -> app -> routes <- state (settings, store and scorer), headers
auth (the guard) <- door (keys, limits), hosts, proxies, access (scopes of routes) | request_log
bodies (requests) -> incoming (events)      failures, problems (errors), openapi, api_page
"""
