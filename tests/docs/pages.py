"""Follows a how-to page: does in a copy of the repository what its code blocks say."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r"# (\S+/\S+\.\w+)\n")


def follow(page, folder, *, smaller=()):
    """Writes the files, makes the changes and runs the code of a page, in order.

    A block that begins with `# path` is that file (python, sh) or a change of it
    (diff). Other python blocks are one program, with the tests of the files in it; sh
    blocks are commands.

    Args:
        page: path of the page in the repository.
        folder: where the copy goes.
        smaller: pairs (text of the page, what is run in its place).

    Returns:
        What programs and commands printed.

    Raises:
        ValueError: if a change does not fit its file or a `smaller` text is not there.
        RuntimeError: if a program or command fails.
    """
    for name in ("igam_tf", "flags", "run.py"):
        source = REPOSITORY / name
        if source.is_dir():
            # With what is compiled: 39,000 lines take Python a while. Not with what
            # another process is just writing, which is renamed when it is there.
            ignored = shutil.ignore_patterns("*.pyc.*")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    text = (REPOSITORY / page).read_text()
    for old, new in smaller:
        if old not in text:
            raise ValueError(f"{page} does not say {old!r} any more.")
        text = text.replace(old, new)
    program, printed = [], []
    for language, body in _BLOCK.findall(text):
        place = _FILE.match(body)
        if language == "diff":
            _change(folder / place[1], body[place.end() :])
        elif place:
            _write(folder / place[1], body[place.end() :])
            if place[1].startswith("tests/"):
                program.append(body + _calls(body))
        elif language == "python":
            program.append(body)
        else:
            printed += _run_program(program, folder)
            program = []
            printed += [_run(shlex.split(line), folder) for line in _lines(body)]
    return "\n".join(printed + _run_program(program, folder))


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _change(path, diff):
    """Replaces the lines " " and "-" of a diff by its lines " " and "+"."""
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] != "+")
    new = "".join(line[1:] or "\n" for line in lines if line[0] != "-")
    text = path.read_text()
    if text.count(old) != 1:
        raise ValueError(f"{path.name} has {text.count(old)} times, not once:\n{old}")
    path.write_text(text.replace(old, new))


def _calls(tests):
    names = re.findall(r"^def (test_\w+)", tests, re.M)
    return "".join(f"\n{name}()\n" for name in names)


def _lines(body):
    return body.replace("\\\n", " ").splitlines()


def _run_program(parts, folder):
    if not parts:
        return []
    path = folder / "program.py"
    path.write_text("\n".join(parts))
    return [_run(["python", str(path)], folder)]


def _run(command, folder):
    if command[0] != "python":
        raise ValueError(f"{command}: pages run python only.")
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [sys.executable, *command[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout
