"""Customers by what they were first seen in: a channel, a campaign, any attribute.

    events, attributes -> origins --\\
    costs of acquisition -> costs ---+-> curves, figures -> rows -> ChannelTable
    purchase days -------------------/

``origins`` says which group a customer belongs to, ``costs`` what a group cost on which days,
``curves`` how much a customer has spent by each age although most are still young, ``figures`` how
sure a number is and how many customers it needs, ``rows`` puts one row per group and cohort
together. Nothing here needs a model: values to come and who is lost are handed in by the caller.

That a customer was first seen in a channel does not say that the channel brought the customer, so
nothing here says where the next money should go.
"""
