"""One set of generation controls, each route's dialect of it, and the code that reproduces a call.

``controls``    what can be set: range, off value, unit, one sentence; the immutable ``Controls``
``route``       how a route spells them: a table, from which come the request and the report
``routes``      the tables, one module for each family of routes
``effective``   what an engine says it used, beside what was asked
``code``        the program that makes the same call without us
``table``       the whole crossing as a page of the docs

All of it is pure: values in, values out, no engine, no network.
"""
