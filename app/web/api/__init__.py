"""The JSON API of `docs/api.md`: one module per group of calls."""
