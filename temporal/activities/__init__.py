"""Activities: all that workflows may not do themselves. Each may run twice and has its effect once.

A module here is found by itself: its `QUEUES` say which workers run its activities.
"""
