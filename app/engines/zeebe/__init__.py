"""Zeebe: what machines do, drawn by modelers. Models, starts and jobs as DAMS sees them; workers live in `workers`."""
