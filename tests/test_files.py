"""Files appear whole, one process works in a folder, damage is named."""

import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from igam_tf import files, locks

pytestmark = pytest.mark.fast

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError):
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "export"
    with pytest.raises(RuntimeError):
        with files.replacing_folder(path) as temporary:
            (temporary / "half").write_text("half")
            raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with files.replacing_folder(path) as temporary:
        (temporary / "whole").write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["export"]
    assert [p.name for p in path.iterdir()] == ["whole"]


def test_files_are_synced_before_they_are_renamed(tmp_path, monkeypatch):
    calls = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: calls.append("sync") or sync(f))
    monkeypatch.setattr(os, "replace", lambda *a: calls.append("rename") or replace(*a))
    files.write_text(tmp_path / "x", "y")
    assert calls == ["sync", "rename", "sync"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", "3", "{", "\x00\xff", "null"])
def test_damaged_json_is_named(tmp_path, text):
    path = tmp_path / "flags.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"flags\.json is damaged.*throw it away"):
        files.read_json(path, way_out="throw it away")


def _archive(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_a_digest_is_of_the_members_and_sees_every_flipped_byte_of_them(tmp_path):
    path = tmp_path / "x.keras"
    content = np.random.default_rng(0).bytes(500)
    _archive(path, {"config.json": "{}", "model.weights.h5": content})
    before, whole = files.digest(path), path.read_bytes()
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"a card"
    assert files.digest(path) == before
    start = whole.index(content)
    for place in range(start, start + 500, 50):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"x\.keras.*damaged"):
            files.digest(path)


@pytest.mark.parametrize("part", [0, 1, 20, 200])
def test_a_cut_archive_is_named(tmp_path, part):
    path = tmp_path / "x.keras"
    _archive(path, {"config.json": "{}" * 200})
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ValueError, match=r"x\.keras.*damaged"):
        files.check_archive(path)


def test_a_bomb_is_refused_by_what_it_declares(tmp_path):
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(80 * 1024**2))
    assert path.stat().st_size < 200_000
    with pytest.raises(ValueError, match="inflates to 84 MB"):
        files.check_archive(path)


def test_a_folder_in_use_names_its_owner(tmp_path):
    with locks.held(tmp_path, flag="--run_dir"):
        with pytest.raises(locks.FolderInUseError, match=f"process {os.getpid()} on "):
            with locks.held(tmp_path, flag="--run_dir"):
                pass
    assert not list(tmp_path.iterdir())


_HOLD = """
import sys, time
from igam_tf import locks
with locks.held(sys.argv[1], flag="--run_dir"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_kept_out_until_it_is_killed(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(
            ValueError, match=f"--run_dir.*process {other.pid} on .*since"
        ):
            with locks.held(tmp_path, flag="--run_dir"):
                pass
    finally:
        other.kill()
        other.wait()
    # A killed owner leaves its lock; it is told apart and taken over.
    assert (tmp_path / locks.NAME).exists()
    with locks.held(tmp_path, flag="--run_dir"):
        pass


def _write_lock(folder, **owner):
    (folder / locks.NAME).write_text(json.dumps(owner))


def test_an_id_that_another_process_has_now_is_stale(tmp_path):
    mine = locks._myself()
    _write_lock(tmp_path, host=mine["host"], pid=os.getppid(), started="another boot 1")
    with locks.held(tmp_path, flag="--run_dir"):
        pass


def test_another_machine_is_believed_while_it_touches_its_lock(tmp_path):
    _write_lock(tmp_path, host="elsewhere", pid=1, started="x", since="today")
    with pytest.raises(ValueError, match="process 1 on elsewhere since today.*delete"):
        with locks.held(tmp_path, flag="--run_dir"):
            pass
    long_ago = time.time() - 2 * locks.STALE_AFTER
    os.utime(tmp_path / locks.NAME, (long_ago, long_ago))
    with locks.held(tmp_path, flag="--run_dir"):
        pass


def test_a_lock_that_came_after_the_stale_one_is_never_away(tmp_path, monkeypatch):
    """For a moment without it, a third process would take the folder, too."""
    path = tmp_path / locks.NAME
    _write_lock(tmp_path, pid=1)
    stale = locks._identity(path)
    path.unlink()
    _write_lock(tmp_path, pid=2)
    os.utime(path, ns=(1, 1))
    removed, unlink = [], pathlib.Path.unlink
    monkeypatch.setattr(
        pathlib.Path, "unlink",
        lambda self, **kwargs: (removed.append(self), unlink(self, **kwargs)),
    )  # fmt: skip
    monkeypatch.setattr(os, "rename", None)
    locks._remove_stale(path, stale)
    assert path not in removed and len(removed) == 1
    assert [p.name for p in tmp_path.iterdir()] == [locks.NAME]
    locks._remove_stale(path, locks._identity(path))
    assert list(tmp_path.iterdir()) == []


def _try(folder, start, taken):
    start.wait()
    try:
        with locks.held(folder, flag="--run_dir"):
            taken.put(True)
            time.sleep(1.0)
    except locks.FolderInUseError:
        taken.put(False)


def test_one_of_many_takes_over_a_stale_lock(tmp_path):
    _write_lock(tmp_path, host=locks._myself()["host"], pid=2**22 + 1, started="x")
    context = multiprocessing.get_context("fork")
    start, taken = context.Event(), context.Queue()
    several = [
        context.Process(target=_try, args=(tmp_path, start, taken)) for _ in range(6)
    ]
    for process in several:
        process.start()
    start.set()
    found = [taken.get(timeout=60) for _ in several]
    for process in several:
        process.join()
    assert found.count(True) == 1


def test_texts_are_utf8_and_what_it_cannot_hold_is_escaped(tmp_path):
    """Whatever the locale: of a name in another encoding Python makes such halves."""
    files.write_text(tmp_path / "x", "中 \udce9")
    assert (tmp_path / "x").read_bytes() == "中 ".encode() + rb"\udce9"
