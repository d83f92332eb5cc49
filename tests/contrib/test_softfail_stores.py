"""softfail's stores: many processes at once, processes killed, servers that are down, round trips counted."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from redis import Redis
from xfgreylist import stores
from xfgreylist.policy import Ask, Limits

from tests import storeservers
from tests.checkerforms import ask, forked, resident

NOW = 1_700_000_000
PATIENCE = 60.0  # seconds: the machine may be busy
ENVELOPE = {"TCPREMOTEIP": "192.0.2.1", "REMOTEMF": "a@x.org", "REMOTERCPT": "b@y.org"}
POLICY = {"client_address": "192.0.2.1", "sender": "a@x.org", "recipient": "b@y.org"}

# ADDRESS FIRST COUNT OF: check COUNT triplets from number FIRST on, of OF in all, a line for each that is done.
WORKER = """
import sys
from xfgreylist import stores
from xfgreylist.policy import Ask, Limits
address, first, count, of = sys.argv[1], *map(int, sys.argv[2:])
pool, limits = stores.Pool(), Limits(unblock=10**6, insist=0)
sys.stdin.read()  # ends when all are to start
for number in range(first, first + count):
    triplet = number % of
    ask = Ask(1_700_000_000, limits, f"192.0.{triplet % 250}.0/24", "192.0.2.1", f"a{triplet}@x.org", "b@y.org")
    pool.check(address, ask, 60)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[storeservers.Server]:
    """A Redis of this module's own."""
    with storeservers.redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def postgresql() -> Iterator[storeservers.Server]:
    """A PostgreSQL of this module's own."""
    with storeservers.postgresql() as server:
        yield server


def worker(address: str, first: int, count: int, of: int) -> subprocess.Popen[str]:
    """Start a worker, which waits until its standard input is closed."""
    command = [sys.executable, "-c", WORKER, address, str(first), str(count), str(of)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def let_run(workers: list[subprocess.Popen[str]]) -> None:
    """Let all workers start at once, and see all of them succeed."""
    for process in workers:
        assert process.stdin is not None
        process.stdin.close()
    for process in workers:
        assert process.stdout is not None
        process.stdout.read()
        assert process.wait() == 0


def tries(address: str) -> dict[str, int]:
    """Return how often each triplet was tried."""
    store = stores.connect(address, PATIENCE)
    found = {record.key: record.tries for record in store.records() if record.key.startswith("t ")}
    store.close()
    return found


def test_fifty_processes_on_sqlite_lose_no_update(tmp_path: pathlib.Path) -> None:
    address = f"sqlite:{tmp_path}/softfail.db"
    let_run([worker(address, 400 * number, 400, 10_000) for number in range(50)])
    found = tries(address)
    assert len(found) == 10_000
    assert set(found.values()) == {2}


@pytest.mark.parametrize("server", ["redis", "postgresql"])
def test_processes_at_once_lose_no_update(server: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue(server).address
    let_run([worker(address, 0, 100, 10) for _ in range(8)])
    assert sorted(tries(address).values()) == [80] * 10


def test_forked_checkers_at_once_make_the_store_and_lose_no_update(tmp_path: pathlib.Path) -> None:
    address = f"sqlite:{tmp_path}/softfail.db"
    env = {**ENVELOPE, "SOFTFAIL_STORE": address, "SOFTFAIL_TIMEOUT": "60000", "SEENCONSECMAX": "0"}
    program = str(pathlib.Path(__file__).parents[2] / "contrib/checkers/softfail")
    checkers = [subprocess.Popen([sys.executable, program], env=env, stderr=subprocess.PIPE) for _ in range(50)]
    said = [process.communicate()[1].decode() for process in checkers]
    assert [process.returncode for process in checkers] == [101] * 50, said
    assert sum(" unknown " in line for line in said) == 1
    assert list(tries(address).values()) == [50]


def test_a_process_killed_at_any_point_leaves_a_store_that_opens_with_all_that_was_done(tmp_path: pathlib.Path) -> None:
    address = f"sqlite:{tmp_path}/softfail.db"
    chance = random.Random(6)
    done = 0
    for _ in range(12):
        pair = [worker(address, 0, 10**9, 500) for _ in range(2)]
        for process in pair:
            assert process.stdin is not None
            process.stdin.close()
        lines = 0
        for _ in range(chance.randrange(1, 200)):
            lines += bool(pair[0].stdout and pair[0].stdout.readline())
        for process in pair:
            process.kill()
        lines += sum(process.stdout.read().count("\n") for process in pair if process.stdout)
        assert [process.wait() for process in pair] == [-signal.SIGKILL] * 2
        total = sum(tries(address).values())
        assert done + lines <= total <= done + lines + 2  # a killed worker has done at most one that it did not tell
        done = total
    with sqlite3.connect(f"{tmp_path}/softfail.db") as base:
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_line_that_moves_is_waited_for_beyond_the_time_limit(tmp_path: pathlib.Path) -> None:
    address, second = f"sqlite:{tmp_path}/softfail.db", 1.0
    mover = stores.connect(address, PATIENCE)
    env = {**ENVELOPE, "SOFTFAIL_STORE": address, "SOFTFAIL_TIMEOUT": "300", "SOFTFAIL_DOWN": "defer"}
    with open(f"{tmp_path}/softfail.db-turn", "rb") as turn, sqlite3.connect(f"{tmp_path}/softfail.db") as base:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with concurrent.futures.ThreadPoolExecutor() as executor:
            waiting = executor.submit(forked, "softfail", env)
            end = time.monotonic() + second
            while time.monotonic() < end:  # somebody gets on with it all the while
                base.execute("INSERT OR REPLACE INTO list VALUES ('sender:c@z.org', 'deny', 1)")
                base.commit()
            fcntl.flock(turn, fcntl.LOCK_UN)
            done = waiting.result()
        assert " unknown " in done.stderr
        fcntl.flock(turn, fcntl.LOCK_EX)
        done = forked("softfail", env)
        assert done.stderr.endswith("down: " + f"{tmp_path}/softfail.db: database is locked\n")
    mover.close()


def one(number: int) -> Ask:
    """Return a question with all that a check may look at."""
    limits = Limits(unblock=number % 2 * 300, insist=2, white_client=5, white_domain=2)
    listed = [f"client:192.0.2.0/{bits}" for bits in range(32, 7, -1)]
    return Ask(NOW + number, limits, f"192.0.{number % 7}.0/24", "192.0.2.1", "a@x.org", "b@y.org", "x.org", listed)


def counted(observer: Redis) -> tuple[int, int]:
    """Return how often the server has read from a connection, and how often it has run a script by its digest."""
    stats = observer.info("stats")  # first: the second question is one more read
    return stats["total_reads_processed"], observer.info("commandstats")["cmdstat_evalsha"]["calls"]


def test_a_check_on_redis_is_one_round_trip(redis: storeservers.Server) -> None:
    pool = stores.Pool()
    observer = Redis.from_url(redis.address.removeprefix("redis+"))
    pool.check(redis.address, one(0), PATIENCE)
    before = (
        observer.info("stats")["total_reads_processed"],
        observer.info("commandstats")["cmdstat_evalsha"]["calls"],
    )
    for number in range(100):
        pool.check(redis.address, one(number), PATIENCE)
    after = counted(observer)
    assert after[1] - before[1] == 100
    assert after[0] - before[0] == 100 + 2  # and the observer's two


def test_a_check_on_postgresql_is_one_statement(postgresql: storeservers.Server) -> None:
    pool = stores.Pool()
    pool.check(postgresql.address, one(0), PATIENCE)
    log = postgresql.directory / "log"
    before = len(log.read_text().splitlines())
    for number in range(20):
        pool.check(postgresql.address, one(number), PATIENCE)
    lines = [line for line in log.read_text().splitlines()[before:] if "LOG:" in line]
    assert len(lines) == 20
    assert all("execute <unnamed>: SELECT reason, seconds, entry FROM softfail.check_2(" in line for line in lines)


def test_dead_records_go_by_themselves(tmp_path: pathlib.Path, postgresql: storeservers.Server) -> None:
    for address in (f"sqlite:{tmp_path}/softfail.db", postgresql.address):
        store = stores.connect(address, PATIENCE)
        store.remove([record.key for record in store.records()])
        for number in range(100):
            store.check(Ask(NOW, Limits(retry=10), "192.0.2.0/24", "192.0.2.1", f"old{number}@x.org", "b@y.org"))
        for number in range(25):
            store.check(Ask(NOW + 10, Limits(), "192.0.2.0/24", "192.0.2.1", f"new{number}@x.org", "b@y.org"))
        assert len(list(store.records())) == 25
        store.close()


def test_dead_records_go_by_themselves_on_redis(redis: storeservers.Server) -> None:
    store = stores.connect(redis.address, PATIENCE)
    store.check(Ask(NOW, Limits(retry=1), "203.0.113.0/24", "203.0.113.1", "a@x.org", "b@y.org"))
    mine = "t 203.0.113.0/24 a@x.org b@y.org"
    assert mine in {record.key for record in store.records()}
    storeservers.wait_until(lambda: mine not in {record.key for record in store.records()})
    store.close()


DOWN = {  # address -> what the log line says
    "sqlite:{tmp}/nowhere/softfail.db": "unable to open database file",
    "sqlite:{tmp}": "unable to open database file",
    "sqlite:": "SOFTFAIL_STORE names no file",
    "sqlite::memory:": "SOFTFAIL_STORE names no file",
    "sqlite:{tmp}/garbage": "file is not a database",
    "sqlite:{tmp}/locked": "database is locked",
    "redis://:secret@127.0.0.1:1/0": "Redis: ",
    "redis+cluster://:secret@127.0.0.1:1": "Redis: ",
    "redis://127.0.0.1:port/0": "Redis: ",
    "postgresql://user:secret@127.0.0.1:1/base": "PostgreSQL: ",
    "postgresql://127.0.0.1/base?nonsense=1": "PostgreSQL: ",
    "mysql://user:secret@127.0.0.1/base": "SOFTFAIL_STORE begins with none of sqlite: ",
    "nonsense": "SOFTFAIL_STORE begins with none of sqlite: ",
}


@pytest.mark.parametrize(("down", "code"), [("pass", 0), ("defer", 101)])
@pytest.mark.parametrize("address", DOWN)
def test_a_store_that_is_down_costs_one_line(tmp_path: pathlib.Path, address: str, down: str, code: int) -> None:
    (tmp_path / "garbage").write_bytes(b"no database " * 1000)
    holder = sqlite3.connect(tmp_path / "locked", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    env = {**ENVELOPE, "SOFTFAIL_STORE": address.format(tmp=tmp_path), "SOFTFAIL_DOWN": down, "SOFTFAIL_TIMEOUT": "300"}
    done = forked("softfail", env)
    holder.close()
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert f" {down} down: " in done.stderr
    assert DOWN[address] in done.stderr
    assert "secret" not in done.stderr
    assert done.stdout == ""


@contextlib.contextmanager
def stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Stop a server and its children, which then hang, and let them go on afterwards."""
    try:
        subprocess.run(["pkill", "-STOP", "-P", str(process.pid)], check=False)
        process.send_signal(signal.SIGSTOP)
        yield
    finally:
        process.send_signal(signal.SIGCONT)
        subprocess.run(["pkill", "-CONT", "-P", str(process.pid)], check=False)


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_a_server_that_hangs_is_waited_for_no_longer_than_told(kind: str, tmp_path: pathlib.Path) -> None:
    with storeservers.redis(tmp_path) if kind == "redis" else storeservers.postgresql() as server:
        env = {**ENVELOPE, "SOFTFAIL_STORE": server.address, "SOFTFAIL_TIMEOUT": "300"}
        with stopped(server.process):
            done = forked("softfail", env)
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "no answer within 0.3 seconds" in done.stderr or "Timeout" in done.stderr


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_a_call_left_behind_ends(kind: str, tmp_path: pathlib.Path) -> None:
    with storeservers.redis(tmp_path) if kind == "redis" else storeservers.postgresql() as server:
        pool = stores.Pool()
        pool.check(server.address, one(1), 5)  # seconds, after which Redis' library gives up by itself
        before = threading.active_count()
        with stopped(server.process):
            for _ in range(3):
                with pytest.raises(stores.StoreDown):
                    pool.check(server.address, one(2), 0.1)
            storeservers.wait_until(lambda: threading.active_count() == before)


def test_a_resident_outlives_its_server(tmp_path: pathlib.Path) -> None:
    with storeservers.redis(tmp_path) as first:
        env = {"SOFTFAIL_STORE": first.address, "SOFTFAIL_TIMEOUT": "60000"}
        with resident("softfail", env) as softfail, softfail.connect() as connection:
            assert ask(connection, **POLICY) == "450 4.7.1 greylisted, please try again in 300 seconds"
            first.process.kill()
            first.process.wait()
            assert ask(connection, **POLICY) == "DUNNO"
            with storeservers.redis(tmp_path, first.address.removeprefix("redis+unix://")):
                assert ask(connection, **POLICY) == "450 4.7.1 greylisted, please try again in 300 seconds"
    assert softfail.log.count("\n") == 3
    assert softfail.log.count(" pass down: ") == 1


def test_root_gives_the_file_to_the_owner_of_its_directory(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "softfail.db"
    store = stores.connect(f"sqlite:{path}", PATIENCE)
    store.close()
    assert (path.stat().st_uid, path.stat().st_gid) == (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
