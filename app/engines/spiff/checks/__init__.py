"""Checks of a deployment: one entry, `run(files)`, which gives every problem of every file in one list.

Rules live in one module per subject and report to `model.Model`; nothing here runs a process or knows a database.
"""

from app.engines.spiff.checks.rules import RULES
from app.engines.spiff.checks.run import Checked, CheckedFile, CheckedProcess, run

__all__ = ["RULES", "Checked", "CheckedFile", "CheckedProcess", "run"]
