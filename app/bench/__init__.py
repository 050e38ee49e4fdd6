"""Measurements: what a step costs in process, and what the service does under load. Nothing here runs in production."""
