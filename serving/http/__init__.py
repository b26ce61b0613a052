"""The HTTP server: one file per resource in ``routes``; this folder holds what the routes share.

server (start) -> app -> routes <- state (settings, store and scorer), auth, headers
bodies (requests) -> incoming (events)      failures, problems (errors), openapi, api_page
"""
