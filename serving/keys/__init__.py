"""API keys: who may do what on the server, until when, and how often.

scopes, secret (one key as text), weak (keys nobody should use) <- book (keys in the store) <- ring
(the check of a request, in memory) | buckets (rates) <- limits (rates over all workers) |
server_secret <- audit (lines of the audit log)
"""
