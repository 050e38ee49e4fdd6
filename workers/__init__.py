"""Processes that work beside the web: the relay and the engines' workers."""
