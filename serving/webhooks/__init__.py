"""Webhooks: what happened in the store is sent to an address of the user, signed and retried.

outbox (what is to be sent) <- messages (bodies, read from the store when they are sent)
<- delivery (signed requests, with attempts that lie ever further apart)
"""
