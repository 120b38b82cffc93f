"""Pages of the public names, one for each room: a hook of mkdocs.

Names are read from the source of `igam_tf/*/__init__.py`, without importing it: so the
site is built in seconds, and without TensorFlow.
"""

import ast
import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def public_names(init):
    """Where the public names of a package are defined.

    Args:
        init: path of its `__init__.py`, which imports names, or hands `lazy.exports` a
            dict of their modules.

    Returns:
        Dict from name to dotted path; {} if the package has no public names.
    """
    package = ".".join(init.parent.relative_to(REPOSITORY).parts)
    found = {}
    for node in ast.parse(init.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        if not isinstance(node, ast.Assign):
            continue
        target = ast.unparse(node.targets[0])
        if target == "__all__":
            names = ast.literal_eval(node.value)
            return {name: found.get(name, f"{package}.{name}") for name in names}
        if target.strip("()").startswith("__all__,"):
            places = ast.literal_eval(node.value.args[1])
            return {
                name: _defined_at(init.parent, name, place)
                for name, place in places.items()
            }
    return {}


def _defined_at(folder, name, place):
    """Dotted path of a name that a room has from `place`, a module or a room of its."""
    package = ".".join(folder.relative_to(REPOSITORY).parts)
    if place and (folder / place / "__init__.py").exists():
        return public_names(folder / place / "__init__.py")[name]
    return f"{package}.{place}.{name}" if place else f"{package}.{name}"


def pages():
    """Markdown of every page by its name: the index, and one for each room."""
    made, index = {}, ["# Reference", "", "| room | |", "| --- | --- |"]
    rooms = public_names(REPOSITORY / "igam_tf" / "__init__.py")
    short = [name for name, place in rooms.items() if place.count(".") > 1]
    for room in sorted(rooms.keys() - short):
        folder = REPOSITORY / "igam_tf" / room
        init = folder / "__init__.py"
        source = init if init.exists() else folder.with_suffix(".py")
        if not source.exists():
            continue
        summary = (ast.get_docstring(ast.parse(source.read_text())) or "").split("\n")
        index.append(f"| [igam_tf.{room}]({room}.md) | {summary[0]} |")
        names = sorted(public_names(source).values()) if source == init else []
        blocks = [f"::: {place}" for place in names or [f"igam_tf.{room}"]]
        made[f"{room}.md"] = "\n\n".join([f"# igam_tf.{room}", *summary[:1], *blocks])
    index += [
        "",
        "Also directly: " + ", ".join(f"`igam_tf.{n}`" for n in sorted(short)),
    ]
    made["README.md"] = "\n".join(index)
    return made


def on_config(config):
    """Adds the pages to the navigation."""
    config.nav.append({"Reference": [f"reference/{name}" for name in sorted(pages())]})
    return config


def on_files(files, config):
    """Adds the pages to the files of the site."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.append(File.generated(config, f"reference/{name}", content=text))
    return files
