"""A mail server that keeps what it gets: one file per message in a folder, which the demo shows under /dev/mail."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from app.core.ids import uuid7

MAX_BYTES = 10 * 1024 * 1024


class Folder:
    """aiosmtpd's handler: writes each message as `<time>-<id>.eml`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid7()}.eml"
        recipients = ", ".join(envelope.rcpt_tos)
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        new = self._folder / f"{name}.part"  # of another ending: who lists the letters does not find it
        new.write_bytes(f"X-Envelope-To: {recipients}\r\n".encode() + content)
        new.rename(self._folder / name)  # a reader never sees half a message
        return "250 Message accepted"


async def serve(port: int, folder: Path) -> None:
    """Listen on the loopback address until the process ends."""
    handler = Folder(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, data_size_limit=MAX_BYTES, enable_SMTPUTF8=True), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    target = Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    asyncio.run(serve(int(sys.argv[1]), target))
