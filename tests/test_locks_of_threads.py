"""Two threads of one process that want one folder at the same moment."""

import threading

import pytest

from igam_tf import locks


@pytest.mark.fast
def test_one_thread_gets_the_folder(tmp_path, monkeypatch):
    """The first has made its file, and is not yet done with taking it."""
    taken, go_on = threading.Event(), threading.Event()
    take, held = locks._take, []

    def slowly(*args):
        take(*args)
        taken.set()
        go_on.wait(60)

    def first():
        with locks.held(tmp_path, flag="--run_dir"):
            held.append("first")

    monkeypatch.setattr(locks, "_take", slowly)
    thread = threading.Thread(target=first)
    thread.start()
    assert taken.wait(60)
    monkeypatch.setattr(locks, "_take", take)
    try:
        with pytest.raises(locks.FolderInUseError, match="--run_dir: .* is in use by"):
            with locks.held(tmp_path, flag="--run_dir"):
                held.append("second")
    finally:
        go_on.set()
        thread.join()
    assert held == ["first"] and not (tmp_path / locks.NAME).exists()
    with locks.held(tmp_path, flag="--run_dir"):
        pass
