"""What TensorFlow writes while it starts is seen only if it does not start.

A module of another name stands for it: a process that imports the real one takes
seconds, and tests/experiment starts one, whose screen it reads.
"""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.fast

STAND_IN = """
import os, sys
os.write(2, b"noise of compiled code\\n")
print("noise of Python", file=sys.stderr)
{then}
class config:
    list_physical_devices = staticmethod(lambda: os.write(2, b"no driver\\n"))
"""
PROGRAM = """
import sys
from igam_tf.cli import start_up
start_up.hold_back_messages()
import tensorflow
print("an error afterwards", file=sys.stderr)
print("done")
"""


def start(folder, request, then="", program=PROGRAM, **environment):
    """A process that imports a stand-in for TensorFlow as commands do."""
    (folder / "tensorflow.py").write_text(STAND_IN.format(then=then))
    path = f"{folder}:{request.config.rootpath}"
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_start_is_silent_and_what_comes_after_it_is_not(tmp_path, request):
    done = start(tmp_path, request)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr == "an error afterwards\n"


@pytest.mark.parametrize("then", ["raise ImportError('no such kernel')", "os.abort()"])
def test_a_start_that_fails_shows_everything(tmp_path, request, then):
    done = start(tmp_path, request, then)
    assert done.returncode != 0
    assert "noise of compiled code\n" in done.stderr
    assert ("no such kernel" in done.stderr) == ("raise" in then)
    assert "\0" not in done.stderr


def test_a_process_that_outlives_the_start_does_not_delay_it(tmp_path, request):
    then = "import subprocess\nsubprocess.Popen(['sleep', '9'], stdout=-3)"
    done = start(tmp_path, request, then)
    assert done.stderr == "an error afterwards\n"


def test_messages_are_shown_to_those_who_ask(tmp_path, request):
    done = start(tmp_path, request, TF_CPP_MIN_LOG_LEVEL="0")
    assert "noise of compiled code\nnoise of Python\n" in done.stderr


def test_a_process_without_stderr_starts(tmp_path, request):
    close = "import os, sys\nos.close(2)\nsys.stderr, os.write = None, print\n"
    done = start(tmp_path, request, program=close + PROGRAM)
    assert done.stdout.endswith("done\n")


def test_the_finder_leaves_no_trace(tmp_path, request):
    twice = "start_up.hold_back_messages()\n"
    program = PROGRAM.replace(twice, 2 * twice) + (
        "assert type(tensorflow.__spec__.loader).__name__ == 'SourceFileLoader'\n"
        "assert tensorflow.__loader__ is tensorflow.__spec__.loader\n"
        "assert not any(isinstance(f, start_up._Finder) for f in sys.meta_path)\n"
    )
    done = start(tmp_path, request, program=program)
    assert (done.returncode, done.stderr) == (0, "an error afterwards\n")
