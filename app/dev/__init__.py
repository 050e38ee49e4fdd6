"""Servers of one's own for a laptop and for the tests, under one supervisor. Production does not import this."""
