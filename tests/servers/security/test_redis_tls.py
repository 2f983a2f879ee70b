"""The Redis board over TLS: a user with exactly the documented permissions keeps it; every refusal says what to do."""

import asyncio
from collections.abc import Awaitable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from stream_app.core.messages import Role
from stream_app.core.signals.facts import Fact, Signal
from stream_app.serving.redis.board import Board, BoardUnavailableError, open_board
from stream_app.serving.redis.erasure import BoardEraser
from stream_app.serving.redis.layout import BoardSnapshot, PartitionBoard, StandingRef
from stream_app.settings import Settings, SettingsError, load
from tests.board_samples import a_cut, a_flag, a_partition
from tests.servers.certificates import Authority
from tests.servers.redis_tls import redis_with_tls
from tests.servers.security.parts import REDIS_PASSWORDS, as_variables, redis_rules
from tests.tools.acls import redis_commands

pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",  # asyncio forgets the transport of a refused TLS handshake
    "ignore::ResourceWarning",
)


def url(address: str, user: str = "worker", password: str = "") -> str:
    return f"rediss://{user}:{password or REDIS_PASSWORDS[user]}@{address}/0"


def settings(authority: Authority, redis_url: str, **given: object) -> Settings:
    return load(as_variables(redis_url=redis_url, redis_ca_file=authority.cert, **given))


async def refused(given: Settings) -> str:
    board = open_board(given)
    try:
        with pytest.raises(BoardUnavailableError) as caught:
            await board.ping()
    finally:
        await board.close()
    text = str(caught.value)
    assert "planted" not in text
    assert "\n" not in text
    return text


async def error_of(attempt: Awaitable[object]) -> str:
    """What is wrong; empty where nothing is."""
    try:
        await attempt
    except BoardUnavailableError as error:
        return str(error)
    return ""


async def show(board: Board) -> None:
    """Everything that a board is ever asked to do."""
    flag = a_flag()
    snapshot = BoardSnapshot(full=True, partitions=[a_partition({"ann": 7}, standings=[flag])], cuts=[a_cut()])
    await board.ping()
    await board.refresh(snapshot, [flag])
    assert await board.refresh(snapshot, [flag])
    ended = PartitionBoard(partition=0, removed=[StandingRef(flag.user_id, "tea", "all", Role.CONNECTOR)])
    assert await board.refresh(BoardSnapshot(full=False, partitions=[ended]), [])


async def test_a_user_with_exactly_the_permissions_listed_keeps_the_board(
    redis_address: str, authority: Authority
) -> None:
    board = open_board(settings(authority, url(redis_address)))
    await show(board)
    await board.close()
    reader = open_board(settings(authority, url(redis_address, "top")))
    assert await reader.read_top("tea", Role.MAVEN, "all", 1) is not None
    await reader.close()


def each_without_one(command: str) -> dict[str, tuple[str, str]]:
    """Users who lack a permission each, by name: which one, and the rules for what is left."""
    commands = redis_commands()[command]
    optional = {"hello", "select"}  # HELLO may be left out, SELECT is for another database than 0
    needed = [one for one in commands if one not in optional]
    needed.sort(key=lambda one: one != "script|load")  # once loaded by somebody the script is there for all
    return {
        f"without{n}": (missing, redis_rules("planted-pw", (one for one in commands if one != missing)))
        for n, missing in enumerate(needed)
    }


async def test_every_permission_to_keep_the_board_is_needed(authority: Authority, tmp_path: Path) -> None:
    missing_of = each_without_one("worker")
    users = {user: left for user, (_, left) in missing_of.items()}
    with redis_with_tls(authority.sign("redis-less", "127.0.0.1"), authority, users, tmp_path) as address:
        for user, (missing, _) in missing_of.items():
            board = open_board(settings(authority, url(address, user, "planted-pw"), redis_prefix="influence:x"))
            message = await error_of(show(board))
            await board.close()
            assert "docs/security.md lists those that the board needs" in message, missing


async def test_a_user_with_exactly_the_permissions_listed_erases_and_every_one_is_needed(
    authority: Authority, tmp_path: Path
) -> None:
    missing_of = each_without_one("erase")
    users = {user: left for user, (_, left) in missing_of.items()}
    users |= {user: redis_rules(REDIS_PASSWORDS[user], redis_commands()[user]) for user in ("worker", "erase")}
    given = {"redis_prefix": "influence:erased"}
    with redis_with_tls(authority.sign("redis-erased", "127.0.0.1"), authority, users, tmp_path) as address:
        board = open_board(settings(authority, url(address), **given))
        partition = replace(
            a_partition({"ann": 7}, standings=[a_flag()]), noticed={"ann": [Fact(Signal.REGULAR, 0.0, 0.1, 80)]}
        )
        shown = BoardSnapshot(full=True, partitions=[partition])
        for user, (missing, _) in missing_of.items():
            await board.refresh(shown, [a_flag()])
            message = await error_of(
                asyncio.to_thread(erase, settings(authority, url(address, user, "planted-pw"), **given))
            )
            assert "docs/security.md lists those that the board needs" in message, missing
        await board.refresh(shown, [a_flag()])
        await board.close()
        assert await asyncio.to_thread(erase, settings(authority, url(address, "erase"), **given)) == 0


def erase(given: Settings) -> int:
    """Erase who is on the board; returns how much is left."""
    with closing(BoardEraser(given)) as eraser:
        assert eraser.count(["ann"])
        eraser.remove(["ann"])
        return eraser.count(["ann"])


async def test_keys_outside_the_prefix_are_refused(redis_address: str, authority: Authority) -> None:
    board = open_board(settings(authority, url(redis_address), redis_prefix="theirs"))
    message = await error_of(show(board))
    await board.close()
    assert "no permissions" in message


async def test_a_wrong_password_is_reported(redis_address: str, authority: Authority) -> None:
    text = await refused(settings(authority, url(redis_address, password="planted-wrong")))
    assert "user and password in STREAM_APP_REDIS_URL" in text


async def test_a_certificate_signed_by_an_unknown_authority_is_reported(
    redis_address: str, authority: Authority, stranger: Authority
) -> None:
    message = "STREAM_APP_REDIS_CA_FILE must hold the certificate of the CA that signed that of Redis"
    assert message in await refused(settings(stranger, url(redis_address)))
    assert message in await refused(load(as_variables(redis_url=url(redis_address))))


async def test_a_certificate_for_another_host_is_reported(redis_address: str, authority: Authority) -> None:
    there = redis_address.replace("127.0.0.1", "localhost")
    assert "must name a host that its certificate holds" in await refused(settings(authority, url(there)))


async def test_an_expired_certificate_is_reported(authority: Authority, tmp_path: Path) -> None:
    expired = authority.sign("redis-expired", "127.0.0.1", days=-1)
    with redis_with_tls(expired, authority, {}, tmp_path) as address:
        assert "its certificate has to be renewed" in await refused(settings(authority, url(address)))


async def test_tls_against_a_plain_server_and_the_reverse_are_reported(
    redis_address: str, redis_url: str, authority: Authority
) -> None:
    plain = load(as_variables(redis_url=url(redis_address).replace("rediss", "redis")))
    assert "STREAM_APP_REDIS_URL" in await refused(plain)
    assert "STREAM_APP_REDIS_URL begins with rediss://" in await refused(
        settings(authority, redis_url.replace("redis://", "rediss://"))
    )


async def test_redis_that_asks_for_a_certificate_gets_ours(authority: Authority, tmp_path: Path) -> None:
    users = {"worker": f"on >{REDIS_PASSWORDS['worker']} +ping +hello +client"}
    own, locked = authority.sign("redis-client"), authority.sign("redis-locked", password="planted-key")
    server = authority.sign("redis-asking", "127.0.0.1")
    with redis_with_tls(server, authority, users, tmp_path, ask_clients=True) as address:
        for files in (
            {"redis_cert_file": own.cert, "redis_key_file": own.key},
            {"redis_cert_file": own.both},
            {"redis_cert_file": locked.cert, "redis_key_file": locked.key, "redis_key_password": "planted-key"},
        ):
            board = open_board(settings(authority, url(address), **files))
            await board.ping()
            await board.close()
        text = await refused(settings(authority, url(address)))
        assert "set STREAM_APP_REDIS_CERT_FILE and STREAM_APP_REDIS_KEY_FILE" in text


def test_unusable_files_are_reported(authority: Authority) -> None:
    with pytest.raises(SettingsError, match="STREAM_APP_REDIS_CERT_FILE='nowhere': there is no such file"):
        open_board(settings(authority, "rediss://127.0.0.1:1/0", redis_cert_file="nowhere"))
    with pytest.raises(SettingsError, match="STREAM_APP_REDIS_CA_FILE='nowhere': the file cannot be read"):
        open_board(load(as_variables(redis_url="rediss://127.0.0.1:1/0", redis_ca_file="nowhere")))


@pytest.mark.parametrize("password", ["pa/ss", "123#ss", "pa?ss", "5?@ss"])
def test_an_unquoted_password_is_reported_without_showing_any_of_it(password: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_board(load(as_variables(redis_url=f"redis://ann:{password}@127.0.0.1:1/0")))
    assert "%2F" in str(caught.value)
    assert not {password, password[:2], password[:3]} & set(str(caught.value).replace("'", " ").split())
