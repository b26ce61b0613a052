"""The languages of pages: which one is asked for, and how it writes numbers, money and days.

    request -> choice -> Display -> filters of templates, sentences of the API

A language is added as files: ``serving/pages/locales``, ``training/reasons/locales``, and the texts
of the schemes.
"""
