"""What customers would be worth if fewer left, came back sooner or paid more.

    levers ─┬─> leaving (churn) ────────> drop-out factor ─┐
            ├─> second_order (sooner) ──> pace ────────────┼─> value -> WhatIf -> assumptions
            └─> basket ────────────────────────────────────┘

Arithmetic on fitted models, without fitting: ``orders`` evaluates the customer base with another
drop-out and another pace, ``value`` carries the ratio of orders over to the value of each customer.
"""
