"""Which service a command asks, and as whom: a named one with a token or a kept login, or the one of this machine."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import click

from app.cli.local import state_option
from app.cli.output import refusal
from app.dev.state import State

if TYPE_CHECKING:
    import httpx

ADMIN = "admin"
SIGN_IN_FIRST = 401


class Refused(click.ClickException):
    """The service said no; its problem document says why."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(str(document.get("detail") or document.get("title")))
        self.document = document

    def show(self, file: Any = None) -> None:
        click.echo(refusal(self.document), err=True, file=file)


class SignInFirst(Refused):
    """The service does not know who asks: no token, or one that has ended."""

    exit_code = 4


class Unreachable(click.ClickException):
    """Nothing answers where the service should be."""

    exit_code = 3

    def show(self, file: Any = None) -> None:
        click.echo(f"dams: {self.message}", err=True, file=file)


class Connection:
    """Calls of one service's API. `renew` gives a new token when the old one is no longer taken."""

    def __init__(self, url: str, token: str, renew: Callable[[], str] | None = None) -> None:
        self.url, self.token, self._renew = url, token, renew

    def call(self, method: str, path: str, **request: Any) -> Any:
        """The answer's JSON, with `json`, `params`, `files`, `data` as httpx takes them.

        Raises:
            Refused: any answer but 2xx.
            Unreachable: no answer.
        """
        return self._answered(method, path, request).json()

    def content(self, path: str, **params: Any) -> bytes:
        """What a path answers that is no JSON. Raises as :meth:`call`."""
        return self._answered("GET", path, {"params": params}).content

    def _answered(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        answer = self._send(method, path, request)
        if answer.status_code == SIGN_IN_FIRST and self._renew is not None:
            self.token = self._renew()
            answer = self._send(method, path, request)
        if not answer.is_success:
            raise (SignInFirst if answer.status_code == SIGN_IN_FIRST else Refused)(_document(answer))
        return answer

    def every(self, path: str, limit: int, **params: Any) -> list[Any]:
        """Up to *limit* rows of a paged list."""
        given = {name: value for name, value in params.items() if value is not None}
        items: list[Any] = []
        while len(items) < limit:
            page = self.call("GET", path, params=given | {"limit": min(limit - len(items), 200)})
            items += page["items"]
            if not page["next"]:
                break
            given["cursor"] = page["next"]
        return items

    def _send(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        import httpx

        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= request.get("headers", {})
        try:
            return httpx.request(
                method, f"{self.url}/api/v1{path}", **(request | {"headers": headers}), timeout=60, trust_env=True
            )
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url} does not answer ({str(error) or type(error).__name__})") from error


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if isinstance(found, dict):
        return {"status": answer.status_code, **found}
    return {"title": f"{answer.url} answered {answer.status_code} without saying why", "status": answer.status_code}


def part(text: str) -> str:
    """*text* as one part of a path."""
    return quote(text, safe="")


def connected(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which service is meant, and a :class:`Connection` as first argument.

    A command called with its own `--direct` asks no service and gets None.
    """

    @click.option("--url", envvar="DAMS_URL", help="Another service, e.g. https://dams.example (or DAMS_URL).")
    @click.option(
        "--as", "username", default=ADMIN, show_default=True, help="Whom to act as on this machine's service."
    )
    @state_option
    @functools.wraps(command)
    def run(*args: Any, url: str | None, username: str, folder: Path, **kwargs: Any) -> Any:
        if kwargs.get("direct"):
            return command(None, *args, **kwargs)
        return command(remote(url) if url else local(State(folder), username), *args, **kwargs)

    return run


def address(url: str) -> str:
    """*url* without a slash at its end. Raises :class:`click.BadParameter` if it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise click.BadParameter(f"{url!r} is no http or https address", param_hint="--url")
    return url.rstrip("/")


def remote(url: str) -> Connection:
    """A named service with DAMS_TOKEN or the login kept for it. Raises :class:`SignInFirst`."""
    url = address(url)
    token = os.environ.get("DAMS_TOKEN") or read(logins_file()).get(url, {}).get("token")
    if not token:
        raise SignInFirst({"title": f"no token for {url}", "detail": f"`dams login --url {url}`, or set DAMS_TOKEN"})
    return Connection(url, token)


def local(state: State, username: str) -> Connection:
    """The service that `dams up` runs on this state. Whoever owns the state's folder may act as any of its accounts.

    Raises:
        Unreachable: nothing runs on it.
    """
    rows = state.status() if state.folder.exists() and state.holder() else []
    url = next((row["address"] for row in rows if row["service"] == "web"), None)
    if url is None:
        raise Unreachable(f"nothing runs on {state.folder}: `dams up`, or name a service with --url or DAMS_URL")
    if given := os.environ.get("DAMS_TOKEN"):
        return Connection(url, given)
    kept = state.folder / "tokens.json"

    def renew() -> str:
        token = asyncio.run(_issue(state, username))
        write(kept, read(kept) | {username: token})
        return token

    return Connection(url, read(kept).get(username) or renew(), renew)


async def _issue(state: State, username: str) -> str:
    """A token from the state's own database: its folder holds the secret that opens it."""
    from sqlalchemy.exc import DBAPIError

    from app.clinic import accounts
    from app.db.session import make_engine
    from app.dev.service import addresses

    engine = make_engine(addresses(state)["postgresql"].replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.begin() as session:
            person = await accounts.by_username(session, username)
            return (await accounts.issue_token(session, person)).value
    except (OSError, TimeoutError, DBAPIError) as error:
        raise Unreachable(f"the database of {state.folder} does not answer ({error})") from error
    finally:
        await engine.dispose()


def logins_file() -> Path:
    """Where `dams login` keeps tokens: the user's configuration folder."""
    return Path(click.get_app_dir("dams")) / "logins.json"


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def write(path: Path, content: dict[str, Any]) -> None:
    """Replace a file that holds secrets: only its owner can read it, and no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=1)
    new.replace(path)
