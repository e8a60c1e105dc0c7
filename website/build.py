"""Build the course's website: one folder of pages for each language, which a browser opens without a server.

    python website/build.py build/site

Sphinx gets copies of the committed notebooks, in which links lead to the site's own folders and what only makes sense
in a running notebook is left out. Only the standard library and Sphinx are needed, not the course.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOLDERS = {"notebooks": "lessons", "exercises": "exercises"}
_LINK = re.compile(r"\]\((?:\.\./)+(notebooks|exercises)/\w+/")
_README_LINK = re.compile(r"\]\((notebooks|exercises)/\w+/")
_ROW = re.compile(
    r"^\| (?:\*\*(?P<part>.+?)\*\*|\[(?P<title>.+?)\]\(notebooks/en/(?P<name>\w+)\.ipynb\)) \|", re.MULTILINE
)
_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
_COMMENT = re.compile(r"^<!--.*?-->\s*", re.DOTALL)
_DIAGRAM = re.compile(r"^\[(?P<name>[\w-]+)\]: (?P<source>data:image/svg\+xml;base64,\S+)$", re.MULTILINE)
_PANEL = re.compile(r"(?:Deploy|Chooser|Compare)\(.*\)")
_NEIGHBOURS = re.compile(r"^(?:←|.*→$).*$", re.MULTILINE)
_FIRST = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={language}/index.html">
<title>courselib</title>
<p><a href="{language}/index.html">courselib</a></p>
</html>
"""


@dataclass
class Part:
    """A part of the course: its name, and its lessons' files without their endings."""

    name: str
    lessons: list[str] = field(default_factory=list)


def main() -> int:
    """Build every language that has notebooks."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", type=Path, help="the folder that gets the pages")
    parser.add_argument("--root", type=Path, default=HERE.parent, help="the course's own folder")
    options = parser.parse_args()
    languages = sorted(path.name for path in (options.root / "notebooks").iterdir() if path.is_dir())
    shutil.rmtree(options.target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        for language in languages:
            folder = Path(scratch) / language
            stage(options.root, language, folder / "source")
            if status := sphinx(folder, language, languages):
                return status
            shutil.copytree(folder / "html", options.target / language, ignore=shutil.ignore_patterns(".buildinfo"))
    first = "en" if "en" in languages else languages[0]
    (options.target / "index.html").write_text(_FIRST.format(language=first), encoding="utf-8")
    print(f"The website is in {options.target}: open {options.target / 'index.html'} in a browser.")
    return 0


def sphinx(folder: Path, language: str, languages: list[str]) -> int:
    """Run Sphinx from ``source`` to ``html``, for which a warning is an error; give its exit status."""
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "--conf-dir", str(HERE)]
    places = ["--doctree-dir", str(folder / "doctrees"), str(folder / "source"), str(folder / "html")]
    words = {"COURSELIB_SITE_LANGUAGE": language, "COURSELIB_SITE_LANGUAGES": " ".join(languages)}
    environment = {**os.environ, **words, "PYTHONPATH": str(HERE)}
    return subprocess.run([*command, *places], env=environment, check=False).returncode


def stage(root: Path, language: str, target: Path) -> None:
    """Write what Sphinx reads: lessons, exercises, reference pages, and the first page with the tables of contents."""
    for folder, name in FOLDERS.items():
        for path in sorted((root / folder / language).iterdir()):
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".ipynb":
                text = json.dumps(for_pages(json.loads(text), path.stem.partition("_")[0]))
            else:
                text = for_page(text)
            write(target / name / path.name, text)
    for path in sorted((root / "docs").glob("*.md")):
        write(target / "docs" / path.name, for_page(path.read_text(encoding="utf-8")))
    readme = (root / "README.md").read_text(encoding="utf-8")
    write(target / "index.md", first_page(language, readme, target))
    exercises = [path.stem for path in sorted((target / "exercises").glob("*.ipynb"))]
    write(target / "exercises/index.md", "# Exercises\n\n" + toctree(exercises))


def first_page(language: str, readme: str, target: Path) -> str:
    """The words of ``website/LANGUAGE/index.md``, README's table of lessons, and the tables of contents."""
    words = HERE / language / "index.md"
    text = (words if words.exists() else HERE / "en/index.md").read_text(encoding="utf-8")
    table = re.search(r"^\| lesson \|.*?(?=\n\n)", readme, re.MULTILINE | re.DOTALL)
    if not table:
        raise SystemExit("README.md has no table that begins with '| lesson |': the website's order is taken from it.")
    rows = _README_LINK.sub(lambda found: f"]({FOLDERS[found[1]]}/", table[0])
    found = parts(table[0])
    missing = {path.stem for path in (target / "lessons").glob("*.ipynb")} ^ {n for part in found for n in part.lessons}
    if missing:
        raise SystemExit(f"README.md's table and notebooks/{language} differ in {', '.join(sorted(missing))}.")
    trees = [hidden(part.name, [f"lessons/{name}" for name in part.lessons]) for part in found]
    pages = ["exercises/index", *(f"lessons/{path.stem}" for path in sorted((target / "lessons").glob("*.md")))]
    pages += [f"docs/{path.stem}" for path in sorted((target / "docs").glob("*.md"))]
    return "\n\n".join([text.strip(), rows, *trees, hidden("Reference", pages)]) + "\n"


def parts(table: str) -> list[Part]:
    """The course's parts and their lessons, in the order of README's table."""
    found: list[Part] = []
    for row in _ROW.finditer(table):
        if row["part"]:
            found.append(Part(row["part"]))
        else:
            found[-1].lessons.append(row["name"])
    return found


def toctree(names: list[str], *options: str) -> str:
    """A table of contents: it fills the side bar, and gives each page its neighbours."""
    return "\n".join(["```{toctree}", *(f":{each}" for each in options), "", *names, "```"])


def hidden(caption: str, names: list[str]) -> str:
    """One that the side bar alone shows, under a heading."""
    return toctree(names, "hidden:", f"caption: {caption}")


def for_page(text: str) -> str:
    """Markdown whose links lead to the site's folders."""
    text = _LINK.sub(lambda found: f"](../{FOLDERS[found[1]]}/", text)
    for each in _DIAGRAM.finditer(text):  # this Markdown takes no SVG behind a data: address
        image = re.compile(rf"!\[([^\]]*)\]\[{each['name']}\]")
        text = image.sub(rf'<img alt="\1" src="{each["source"]}">', text)
    text = _DIAGRAM.sub("", text)
    return re.sub(r'<a id="([^"]+)"></a>', r"[]{#\1}", text)


def for_pages(notebook: dict[str, Any], number: str) -> dict[str, Any]:
    """A notebook for those who read it; its number goes into its title."""
    language = {**notebook["metadata"].get("language_info", {}), "pygments_lexer": "ipython3"}  # knows !command
    metadata = {**notebook["metadata"], "language_info": language}
    return {**notebook, "metadata": metadata, "cells": list(cells(notebook["cells"], number))}


def cells(given: list[dict[str, Any]], number: str) -> Iterator[dict[str, Any]]:
    """Its cells: the links to Colab and Binder below the title, pictures in the page, no words about running a quiz."""
    head = ""
    for at, cell in enumerate(given):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            if at == 0:
                head = _COMMENT.sub("", for_page(text))
                continue
            text = for_page(text)
            if head:
                title, _, rest = text.partition("\n")
                text, head = f"# {number} {title.removeprefix('# ')}\n\n:::{{container}} facts\n{head}\n:::\n{rest}", ""
            if is_quiz(given[at + 1 : at + 2]):
                text = text.rpartition("\n\n")[0]
            if at == len(given) - 1:
                text = _NEIGHBOURS.sub("", text).strip()
            if not text:
                continue
        else:
            hidden = "remove-input" if is_quiz([cell]) else "hide-input" if is_setup(cell) else ""
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", ()), *([hidden] if hidden else ())]
            for output in cell["outputs"]:
                inline(output.get("data", {}))
        yield {**cell, "source": text}


def is_quiz(given: list[dict[str, Any]]) -> bool:
    """Whether the first of these cells shows a lesson's questions."""
    return bool(given) and "quiz" in given[0]["metadata"].get("tags", ())


def is_setup(cell: dict[str, Any]) -> bool:
    """Whether a cell is the one that installs the course."""
    return "setup" in cell["metadata"].get("tags", ())


def inline(data: dict[str, Any]) -> None:
    """An output's SVG as part of its page, where it takes the page's colours; a word for a panel without a picture."""
    if picture := "".join(data.pop("image/svg+xml", "")):
        data["text/html"] = f"<div class='picture'>{_STYLE.sub('', picture)}</div>"
    elif "text/markdown" in data:
        # Sphinx resolves no links in outputs.
        data["text/markdown"] = re.sub(r"\]\((\w+)\.ipynb", r"](\1.html", "".join(data["text/markdown"]))
    elif list(data) == ["text/plain"] and _PANEL.fullmatch(text := "".join(data["text/plain"])):
        words = f"A running notebook shows the panel <code>{html.escape(text)}</code> here."
        data["text/html"] = f"<p class='panel'>{words}</p>"


def write(path: Path, text: str) -> None:
    """Write a file, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
