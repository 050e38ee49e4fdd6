"""What every layer may import: settings, the event loop, errors, ids, logs and metrics. No framework."""
