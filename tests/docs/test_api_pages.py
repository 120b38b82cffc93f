"""The reference on the site: every room has a page, every public name is described.

CI builds the site (`mkdocs build --strict`); here is what that would not notice.
"""

import importlib
import inspect
import pathlib
import re
import runpy

import pytest

import igam_tf

pytestmark = pytest.mark.fast

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
ROOMS = sorted(
    name
    for name in igam_tf.__all__
    if inspect.ismodule(getattr(igam_tf, name)) and name != "pjrt"
)


@pytest.fixture(scope="module")
def site():
    """What mkdocs runs to make the pages, which needs no mkdocs itself."""
    return runpy.run_path(str(REPOSITORY / "docs" / "site.py"))


def public(room):
    return list(getattr(importlib.import_module(f"igam_tf.{room}"), "__all__", []))


def test_every_room_has_a_page(site):
    pages = site["pages"]()
    assert len(ROOMS) > 10
    for room in ROOMS:
        assert pages[f"{room}.md"].startswith(f"# igam_tf.{room}\n")
        assert f"({room}.md)" in pages["README.md"]


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_on_its_page_and_described(site, room):
    module = importlib.import_module(f"igam_tf.{room}")
    places = {}
    if hasattr(module, "__path__"):
        places = site["public_names"](pathlib.Path(module.__file__))
    assert sorted(places) == sorted(public(room))
    text = site["pages"]()[f"{room}.md"]
    for name, place in places.items():
        assert f"::: {place}\n" in f"{text}\n"
        value = getattr(module, name)
        home, _, attribute = place.rpartition(".")
        if not inspect.ismodule(value):
            assert getattr(importlib.import_module(home), attribute) is value
            # mkdocstrings reads files, and knows nothing of names that a room forwards.
            source = pathlib.Path(importlib.import_module(home).__file__).read_text()
            definition = rf"^(def|class) {attribute}\b|^{attribute}\b.* ="
            assert re.search(definition, source, re.MULTILINE), place
        if callable(value):
            assert inspect.getdoc(value), f"{place} has no docstring"


def test_names_of_the_package_are_listed(site):
    index = site["pages"]()["README.md"]
    for name in set(igam_tf.__all__) - {*ROOMS, "__version__"}:
        assert f"igam_tf.{name}" in index
