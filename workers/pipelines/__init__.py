"""The pipelines: one module each, found by itself. A module declares tasks and a body that builds signatures."""
