"""Faults on purpose: a service of its own is hurt part by part under load, and nothing may be lost or doubled.

`cells` says what there is, `place` starts the service, `wounds` hurts it, `load` works on it and tells `ledger` what it
was answered, `invariants` compares that with the database, `races` and `controls` show that the guards are what holds.
"""
