"""Workflows: deterministic, sandboxed, with nothing but the standard library and the SDK.

A module here is found by itself: its `QUEUE` says where its workflows run.
"""
