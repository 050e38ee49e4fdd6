"""Servers of one's own for a laptop and for the tests, under one supervisor. Production does not import this."""

import os

# gRPC restarts its threads in every child that is forked; PostgreSQL's child must have one thread to leave user 0.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
