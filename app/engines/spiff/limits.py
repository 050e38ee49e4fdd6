"""The bounds of one step, from the settings."""

from __future__ import annotations

from app.core.settings import settings
from app.engines.spiff.outcome import Bounds


def bounds() -> Bounds:
    """What one request may cost before the relay goes on with the instance."""
    engine = settings().engine
    return Bounds(
        steps=engine.steps_per_request,
        seconds=engine.seconds_per_request,
        steps_between_waits=engine.steps_between_waits,
        variable_bytes=engine.variable_kb * 1024,
        instance_bytes=engine.instance_kb * 1024,
    )
