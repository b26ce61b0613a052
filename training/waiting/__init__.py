"""When the next order comes, and what it costs to wait before a customer is contacted.

    customer base, history, P(no purchase), what a contact can save -> price -> Waiting

``next_order`` is the median of the time to the next order. ``price`` continues the silence of each
customer by the customer base of the as_of, without a new event: what a contact can still save falls
with it, and so does the chance of a purchase.
"""
