"""The table of constructs in `docs/modelling.md`, made from the tests; run as a module it writes the table anew."""

from __future__ import annotations

from pathlib import Path

from app.engines.spiff.checks import RULES
from tests.engines.spiff import faulty_constructs, faulty_drawings, faulty_links, faulty_vendor, faulty_ways
from tests.engines.spiff.conformance import FEATURES

FAULTS = [
    fault
    for family in (faulty_drawings, faulty_links, faulty_constructs, faulty_ways, faulty_vendor)
    for fault in family.FAULTS
]
GUIDE = Path(__file__).resolve().parents[4] / "docs/modelling.md"
BEGIN, END = "<!-- made from the tests: begin -->", "<!-- made from the tests: end -->"
_DRAWING = """ad-hoc compensation complex-gateway data-store event-definition-missing event-definition-ref event-gateway
event-position event-sub-process input-output instantiate io-specification link-event loop-bound multi-instance
multi-instance-behavior script-format several-event-definitions several-start-events start-event-type sub-process-start
token-quantity unbound-service unsupported-element camunda-code camunda-extension camunda-listener call-mapping
camunda-assignment form-key caught-twice gateway-direction join-stuck lane message-flow unreachable"""


def made() -> str:
    """Every construct with what DAMS does with it, as Markdown."""
    families = list(dict.fromkeys(feature.family for feature in FEATURES))
    lines = [f"{len(FEATURES)} models, each run plain and with a save and reload before every step.", ""]
    lines += ["| construct | |", "|---|---|"]
    for family in families:
        lines.append(f"| **{family}** | |")
        lines += [f"| {feature.name} | exact |" for feature in FEATURES if feature.family == family]
    lines.append("| **not run, and refused at deployment** | |")
    refused = [fault for fault in FAULTS if fault.rule in _DRAWING.split() and RULES[fault.rule] == "error"]
    lines += [f"| {fault.message} | `{fault.rule}`: {fault.fix} |" for fault in refused]
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """The guide with the table of today."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{made()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    GUIDE.write_text(written(GUIDE.read_text()))
