"""The API pages: every room has one, and every public name is described on it."""

import importlib
import inspect
import json
import re
import subprocess
import sys

import pytest

import igam_tf

pytest.importorskip("pdoc", reason="pip install -e '.[docs]'")
pytest.importorskip(
    "jax", reason="igam_tf.export.runner names it; pip install -e '.[docs]'"
)

BUILD = "import json, sys; from tests.docs.api_pages import build; "


@pytest.fixture(scope="module")
def pages(tmp_path_factory, request):
    """Folder of the pages, and the documented names by module."""
    folder = tmp_path_factory.mktemp("api")
    done = subprocess.run(
        [sys.executable, "-c", BUILD + "print(json.dumps(build(sys.argv[1])))", folder],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_every_room_has_a_page(pages):
    folder, documented = pages
    exported = {name: getattr(igam_tf, name) for name in igam_tf.__all__}
    rooms = {m.__name__ for m in exported.values() if inspect.ismodule(m)}
    assert len(rooms) > 10 and rooms <= documented.keys()
    for module in documented:
        text = (folder / f"{module.replace('.', '/')}.html").read_text()
        assert f"<title>{module}" in text


def test_every_public_name_is_described(pages):
    folder, documented = pages
    for module, names in documented.items():
        text = (folder / f"{module.replace('.', '/')}.html").read_text()
        anchors = set(re.findall(r'<section id="([\w.]+)"', text))
        for name in names:
            value = getattr(importlib.import_module(module), name)
            if inspect.ismodule(value):
                continue
            assert name in anchors, f"{module}.{name} is not on its page"
            if callable(value):
                assert inspect.getdoc(value), f"{module}.{name} has no docstring"


def test_a_name_that_does_not_resolve_stops_the_build(tmp_path, request):
    spoilt = "import igam_tf; igam_tf.__all__[:0] = ['nowhere']; "
    code = BUILD + spoilt + "build(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
    )
    assert done.returncode and "no attribute 'nowhere'" in done.stderr
