"""The tables of plans, of who may be contacted, and of what scores were settled against.

    plans --< plan_audience     the customers whom a plan names, where it names any
          \\-< plan_customers    who is contacted and who is held out, from the freezing on
          \\-< outcomes          what these customers did in the window of the plan
          \\-< readouts          what the plan brought, as of each look
    profiles                    who a customer is and whether they may be contacted
    contacts                    when a customer was contacted
    settled                     published runs closed against what came, a chain of hashes
    channels                    customers of a run by what they were first seen in

Every table with a column ``customer_id`` is erased with the customer; what is stored without one
holds no id.
"""

from __future__ import annotations

import sqlalchemy as sa

from stagecast.serving.store.tables import ID, Instant, metadata

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", ID, nullable=False, unique=True),
    sa.Column("owner", sa.String, nullable=False),
    # draft, frozen, sent, closed or cancelled
    sa.Column("state", sa.String, nullable=False),
    sa.Column("run_id", sa.Integer, nullable=False),
    sa.Column("as_of", Instant, nullable=False),
    sa.Column("starts_at", Instant, nullable=False),
    sa.Column("window_days", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("frozen_at", Instant),
    sa.Column("sent_at", Instant),
    # how the contacts were confirmed: by upload, by the log, or by hand
    sa.Column("sent_by", sa.String),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("proposal", sa.JSON, nullable=False),
    # of the frozen list: SHA-256 over its customers and their arms
    sa.Column("digest", sa.String),
    sqlite_autoincrement=True,
)

_plan_key = sa.ForeignKey("plans.id")

plan_audience = sa.Table(
    "plan_audience",
    metadata,
    sa.Column("plan_id", sa.Integer, sa.ForeignKey("plans.id"), primary_key=True),
    sa.Column("customer_id", ID, primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index("plan_audience_by_customer", plan_audience.c.customer_id, plan_audience.c.plan_id)

plan_customers = sa.Table(
    "plan_customers",
    metadata,
    sa.Column("plan_id", sa.Integer, _plan_key, primary_key=True),
    sa.Column("customer_id", ID, primary_key=True),
    # contact or holdout
    sa.Column("arm", sa.String, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("stratum", sa.Integer, nullable=False),
    sa.Column("play", sa.String),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("churn_band", sa.String),
    sa.Column("state", sa.String, nullable=False),
    # expected, in money: what a contact brings after its costs, and these costs
    sa.Column("gain", sa.Float, nullable=False),
    sa.Column("cost", sa.Float, nullable=False),
    # what a contact costs for certain, and what the offer costs if the customer orders, in money
    sa.Column("contact_cost", sa.Float, nullable=False),
    sa.Column("offer", sa.Float, nullable=False),
    sa.Column("expected_purchase", sa.Float, nullable=False),
    sa.Column("expected_spend", sa.Float),
    sa.Column("confirmed_at", Instant),
    sqlite_with_rowid=False,
)
sa.Index("plan_customers_by_rank", plan_customers.c.plan_id, plan_customers.c.rank)
sa.Index("plan_customers_by_customer", plan_customers.c.customer_id, plan_customers.c.plan_id)

outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("plan_id", sa.Integer, sa.ForeignKey("plans.id"), primary_key=True),
    sa.Column("customer_id", ID, primary_key=True),
    sa.Column("orders", sa.Float, nullable=False),
    sa.Column("spend", sa.Float),
    sqlite_with_rowid=False,
)
sa.Index("outcomes_by_customer", outcomes.c.customer_id, outcomes.c.plan_id)

readouts = sa.Table(
    "readouts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("plan_id", sa.Integer, sa.ForeignKey("plans.id"), nullable=False),
    sa.Column("read_at", Instant, nullable=False),
    sa.Column("data_until", Instant, nullable=False),
    sa.Column("closed", sa.Boolean, nullable=False),
    sa.Column("result", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)
sa.Index("readouts_by_plan", readouts.c.plan_id, readouts.c.id)

profiles = sa.Table(
    "profiles",
    metadata,
    sa.Column("customer_id", ID, primary_key=True),
    sa.Column("name", sa.String),
    # SHA-256 of the address in small letters without blanks; the address is not stored
    sa.Column("email_sha256", sa.String(64)),
    sa.Column("contact_key", sa.String),
    sa.Column("consent", sa.Boolean),
    sa.Column("do_not_contact", sa.Boolean),
    sa.Column("channel", sa.String),
    sa.Column("country", sa.String),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    # what the name is searched by
    sa.Column("name_key", ID),
    sqlite_with_rowid=False,
)
sa.Index("profiles_by_name", profiles.c.name_key, profiles.c.customer_id)

contacts = sa.Table(
    "contacts",
    metadata,
    sa.Column("customer_id", ID, primary_key=True),
    sa.Column("contacted_at", Instant, primary_key=True),
    # log, upload, or the name of a plan
    sa.Column("source", sa.String, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("contacts_by_time", contacts.c.contacted_at, contacts.c.customer_id)

settled = sa.Table(
    "settled",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.Integer, nullable=False, unique=True),
    sa.Column("settled_at", Instant, nullable=False),
    # the text that the hash is of, without ids of customers
    sa.Column("body", sa.Text, nullable=False),
    # unique, so that two rows cannot follow the same one
    sa.Column("previous_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("hash", sa.String(64), nullable=False),
    sqlite_autoincrement=True,
)

channels = sa.Table(
    "channels",
    metadata,
    sa.Column("run_id", sa.Integer, primary_key=True),
    # channel, or the attribute by which customers are grouped
    sa.Column("grouping", ID, primary_key=True),
    sa.Column("made_at", Instant, nullable=False),
    # without ids of customers
    sa.Column("body", sa.JSON, nullable=False),
)
