"""README and docs/: short enough, and nothing in them leads nowhere.

What they say to type is parsed here and run elsewhere: the quickstart in
tests/experiment, the pages "Add a ..." beside this file, commands in their rooms. What
needs a network or a GPU says so on its page.
"""

import importlib
import pathlib
import re
import shlex

import pytest

import igam_tf
from igam_tf.cli import checkpoints, compare, evaluate, main, recipes, report, run_help
from igam_tf.data import registry

pytestmark = pytest.mark.fast

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "results" / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
README_LINES = 180
# Flags of programs that are not ours, on these pages.
OTHERS = {
    "dist",
    "logdir",
    "strict",
    "tf_xla_persistent_cache_device_types",
    "tf_xla_persistent_cache_directory",
}
# Where the programs of these pages are run, at a small size.
RUN_BY = {
    "python run.py": "tests/experiment",
    "igam-tf": "tests/cli",
    "python -m igam_tf.evaluate": "tests/cli",
    "python -m igam_tf.reports": "tests/cli",
    "python -m igam_tf.checkpoints": "tests/checkpoints",
    "python -m igam_tf.export.runner": "tests/export",
    "python -m tools": "tests/tools",
    "python -m benchmarks": "tests/benchmarks",
}
SET_UP = (
    "pip install",
    "python3 -m venv",
    "source ",
    "python -m pytest",
    "mkdocs build",
)
# What is downloaded, unless it is in DIR.
DOWNLOADED = {"mnist", "cifar10", "cifar100", "tiny_imagenet"}
_GENERATED = re.compile(r"^<!-- generated.*?^<!-- end -->$", re.M | re.S)
_INDENTED = re.compile(r"(?:^    .*\n)+", re.M)
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_FLAG = re.compile(r"(?<![\w-])--(?:\[no\])?([a-z]\w*)")


def text_of(page):
    return _GENERATED.sub("", page.read_text())


def headings(page):
    """Anchors of a page's headings, as code hosts make them."""
    text = _FENCED.sub("", page.read_text())
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(text):
    """What a reader types: the lines of indented blocks that begin with a program."""
    blocks = [block for language, block in _FENCED.findall(text) if language == "sh"]
    blocks += _INDENTED.findall(text)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    programs = ("python", "igam-tf", "pip", "TF_CONFIG")
    return [
        shlex.split(part, comments=True)
        for line in lines
        if line.strip().startswith(programs)
        for part in line.split("&&")
    ]


def arguments_of(page, *programs):
    """Arguments of the page's commands that begin with one of the programs."""
    for command in commands(text_of(page)):
        command = [word for word in command if not word.startswith("TF_CONFIG=")]
        for program in programs:
            if command[: len(program)] == program:
                yield command[len(program) :]


def page_id(page):
    return str(page.relative_to(REPOSITORY))


def test_readme_is_one_page():
    lines = (REPOSITORY / "README.md").read_text().splitlines()
    assert len(lines) <= README_LINES, "move something to docs/"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_resolves(page):
    # Across lines, as prose is filled.
    links = re.findall(r"\]\(([^)\s]+)\)", _FENCED.sub("", page.read_text()))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(REPOSITORY), link
        assert target.exists(), f"{page_id(page)}: there is no {link}"
        if anchor:
            assert anchor in headings(target), f"{page_id(page)}: no heading {link}"


def test_the_index_names_every_page():
    index = (REPOSITORY / "docs" / "README.md").read_text()
    for page in (REPOSITORY / "docs").glob("[a-z]*.md"):
        assert f"({page.name})" in index, f"{page.name} is not in docs/README.md"


@pytest.fixture(scope="module")
def known_flags():
    """Names of all flags that commands, tools and benchmarks define."""
    found = set(run_help.known()) | OTHERS
    for folder in ("igam_tf", "tools", "benchmarks"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            found |= set(re.findall(r'"--(\w+)"', path.read_text()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_flag_exists(page, known_flags):
    named = set(_FLAG.findall(text_of(page)))
    named = {name.removeprefix("no") if name not in known_flags else name
             for name in named}  # fmt: skip
    assert named <= known_flags, named - known_flags


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_file_and_module_exists(page):
    text = text_of(page)
    for path in re.findall(r"\b(?:flags|tests|notebooks)/[\w./]+\.(?:cfg|py)", text):
        assert (REPOSITORY / path).is_file(), path
    for module in re.findall(r"python -m ((?:igam_tf|tools|benchmarks)[\w.]*\w)", text):
        place = REPOSITORY / module.replace(".", "/").removesuffix("/X")
        module_exists = place.with_suffix(".py").exists() or place.is_dir()
        assert module_exists or module.endswith(".NAME"), module


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_name_of_the_package_exists(page):
    for dotted in set(re.findall(r"\bigam_tf((?:\.[A-Za-z]\w*)+)", text_of(page))):
        value, path = igam_tf, "igam_tf"
        for name in dotted[1:].split("."):
            path = f"{path}.{name}"
            if not hasattr(value, name):
                value = importlib.import_module(path)
            else:
                value = getattr(value, name)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_programs_are_python(page):
    for language, block in _FENCED.findall(page.read_text()):
        if language == "python":
            compile(block, page_id(page), "exec")


def data_of(line):
    """Names of data sets, and paths of a reader's own data, in a command."""
    return set(re.findall(r"--(?:source|target|dataset)=(\S+)", line))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_parse(page):
    # Files that a reader has, and this test does not.
    brought = ("--teacher_checkpoint=", "--score_model=")
    for arguments in arguments_of(page, ["python", "run.py"], ["igam-tf", "run"]):
        run_help.check_names(arguments)
        is_own = data_of(" ".join(arguments)) - registry.DATASETS.keys()
        if is_own or {"--help", "--helpfull"} & set(arguments):
            continue
        recipes.parse([a for a in arguments if not a.startswith(brought)])
    for arguments in arguments_of(page, ["python", "-m", "tools.seeds"]):
        own, _, of_runs = " ".join(arguments).partition(" -- ")
        recipe = [a for a in own.split() if a.startswith("--flagfile=")]
        recipes.parse([*recipe, *of_runs.split()])
    for name, command in (
        ("evaluate", evaluate), ("report", report), ("checkpoints", checkpoints),
    ):  # fmt: skip
        for arguments in arguments_of(page, ["igam-tf", name]):
            is_own = data_of(" ".join(arguments)) - registry.DATASETS.keys()
            if compare.is_asked_for(arguments):
                compare._parser().parse_args(arguments)
            elif not is_own and "--help" not in arguments:
                command._parser().parse_args(arguments)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_is_run_by_a_test_or_says_what_it_needs(page):
    for command in commands(text_of(page)):
        line = " ".join(word for word in command if not word.startswith("TF_CONFIG="))
        if line.startswith(SET_UP):
            continue
        folder = next((RUN_BY[p] for p in RUN_BY if line.startswith(p)), None)
        assert folder, f"{line}: no test runs it; see RUN_BY"
        assert list((REPOSITORY / folder).rglob("test_*.py"))
        if command[0] == "igam-tf":
            assert command[1] in main._COMMANDS, line
        if data_of(line) & DOWNLOADED or "flags/table" in line:
            assert "--data_dir=DIR" in line, f"{line}: needs data; say --data_dir=DIR"


def test_a_command_is_found_in_its_block():
    text = "Text\n\n    pip install x && python run.py --a=b \\\n      --c   # why\n\n"
    assert commands(text) == [
        ["pip", "install", "x"],
        ["python", "run.py", "--a=b", "--c"],
    ]
