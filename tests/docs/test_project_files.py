"""CITATION.cff, CHANGELOG.md, LICENSE and setup.py say the same."""

import pathlib
import re

import pytest

import igam_tf

pytestmark = pytest.mark.fast

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def read(name):
    return (REPOSITORY / name).read_text()


def test_citation_names_this_version_and_the_paper():
    text = read("CITATION.cff")
    found = dict(re.findall(r"^([\w-]+): (\S+)$", text, re.M))
    assert found["cff-version"] == "1.2.0"
    assert found["title"] == igam_tf.__name__
    assert found["version"] == igam_tf.__version__
    assert found["license"] == "MIT"
    references = text[text.index("references:") :]
    assert [name in references for name in ("Chan", "Tay", "Ong", "2020")] == [True] * 4


def test_licence_is_the_one_that_setup_names():
    assert read("LICENSE").startswith("MIT License\n")
    assert 'license="MIT"' in read("setup.py")


def test_type_hints_are_shipped():
    assert (pathlib.Path(igam_tf.__file__).parent / "py.typed").is_file()
    assert '"igam_tf": ["py.typed"]' in read("setup.py")


def test_changelog_has_the_version_or_says_it_is_unreleased():
    sections = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.M)
    assert sections and sections[0] in ("Unreleased", igam_tf.__version__)
    kinds = set(re.findall(r"^### (.+)$", read("CHANGELOG.md"), re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
