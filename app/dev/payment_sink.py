"""A payment provider for the demo and the tests: charges and refunds by idempotency key, in a ledger of its own.

    POST /charges                 Idempotency-Key, {amount, currency, reference}   201 new · 200 repeat · 402 declined
    POST /charges/<id>/refunds    Idempotency-Key                                   201 new · 200 repeat · 409 refunded
    GET  /charges?key=            the charge of a key                               200 · 404
    GET  /ledger                  every entry, oldest first: what was really charged, seen from outside of DAMS

A key means one charge for ever; the same key with another amount is 422.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import threading
from decimal import Decimal, InvalidOperation
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.core.ids import uuid7
from app.core.lifetime import die_with_parent_if_asked

MOST = Decimal("50000.00")
"""A charge above it is declined, so that there is something to decline."""
TABLE = """create table if not exists entry (id text primary key, key text unique not null, kind text not null,
           amount text not null, currency text not null, reference text not null, of text unique,
           at text not null default current_timestamp)"""
COLUMNS = ("id", "key", "kind", "amount", "currency", "reference", "of", "at")
Answer = tuple[int, dict[str, Any]]


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.answer: Answer = (status, {"detail": detail})


class Ledger:
    """Entries in one SQLite file, written through before they are answered."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma synchronous = full")
        self._database.execute(TABLE)

    def charge(self, key: str, amount: Decimal, currency: str, reference: str) -> Answer:
        with self._lock:
            if known := self._by("key", key):
                if (known["kind"], known["amount"], known["reference"]) != ("charge", str(amount), reference):
                    raise Refused(422, "This key was used for something else.")
                return 200, known
            if amount > MOST:
                raise Refused(402, "The charge was declined.")
            return 201, self._add(key, "charge", str(amount), currency, reference, None)

    def refund(self, key: str, charge_id: str) -> Answer:
        with self._lock:
            if known := self._by("key", key):
                return 200, known
            charge = self._by("id", charge_id)
            if charge is None or charge["kind"] != "charge":
                raise Refused(404, "There is no such charge.")
            if self._by("of", charge_id):
                raise Refused(409, "The charge was refunded before.")
            amount, currency, reference = charge["amount"], charge["currency"], charge["reference"]
            return 201, self._add(key, "refund", amount, currency, reference, charge_id)

    def charged(self, key: str) -> dict[str, Any] | None:
        with self._lock:
            found = self._by("key", key)
            return found if found and found["kind"] == "charge" else None

    def entries(self) -> list[dict[str, Any]]:
        with self._lock:
            rows = self._database.execute(f"select {', '.join(COLUMNS)} from entry order by rowid")  # noqa: S608
            return [dict(zip(COLUMNS, row, strict=True)) for row in rows]

    def _by(self, column: str, value: str) -> dict[str, Any] | None:
        sql = f"select {', '.join(COLUMNS)} from entry where {column} = ?"  # noqa: S608 - constants of this module
        row = self._database.execute(sql, (value,)).fetchone()
        return dict(zip(COLUMNS, row, strict=True)) if row else None

    def _add(self, key: str, kind: str, amount: str, currency: str, reference: str, of: str | None) -> dict[str, Any]:
        values = (str(uuid7()), key, kind, amount, currency, reference, of)
        self._database.execute(
            "insert into entry (id, key, kind, amount, currency, reference, of) values (?, ?, ?, ?, ?, ?, ?)", values
        )
        return self._by("key", key) or {}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    ledger: Ledger
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.path == "/ledger":
            self._send((200, {"entries": self.ledger.entries()}))
        elif path.path == "/charges" and (known := self.ledger.charged(parse_qs(path.query).get("key", [""])[0])):
            self._send((200, known))
        else:
            self._send((404, {"detail": "Nothing."}))

    def do_POST(self) -> None:
        try:
            self._send(self._posted(self.rfile.read(int(self.headers.get("Content-Length") or 0))))
        except Refused as refused:
            self._send(refused.answer)

    def _posted(self, body: bytes) -> Answer:
        key = self.headers.get("Idempotency-Key", "")
        if not key:
            raise Refused(400, "An Idempotency-Key is needed.")
        if found := re.fullmatch(r"/charges/([\w-]+)/refunds", self.path):
            return self.ledger.refund(key, found[1])
        if self.path != "/charges":
            raise Refused(404, "Nothing.")
        try:
            given = json.loads(body)
            amount, currency, reference = Decimal(given["amount"]), str(given["currency"]), str(given["reference"])
        except (ValueError, KeyError, TypeError, InvalidOperation) as error:
            raise Refused(400, "amount, currency and reference are needed.") from error
        if not amount.is_finite() or amount <= 0 or amount != round(amount, 2):
            raise Refused(422, "The amount must be positive, in cents.")
        return self.ledger.charge(key, round(amount, 2), currency, reference)

    def _send(self, answer: Answer) -> None:
        content = json.dumps(answer[1]).encode()
        self.send_response(answer[0])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's names
        """Nothing: the ledger says what was done."""


class Server(ThreadingHTTPServer):
    """Takes a burst of calls: with the base class's queue of five the others are reset."""

    request_queue_size = 128
    daemon_threads = True


def server(port: int, folder: Path) -> ThreadingHTTPServer:
    """Listening on the loopback address; its ledger is `ledger.db` in *folder*."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = type("Bound", (Handler,), {"ledger": Ledger(folder / "ledger.db")})
    return Server(("127.0.0.1", port), handler)


if __name__ == "__main__":
    die_with_parent_if_asked()
    server(int(sys.argv[1]), Path(sys.argv[2])).serve_forever()
