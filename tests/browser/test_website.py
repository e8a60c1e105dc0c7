"""The website in a folder: every link holds, and a browser without a network reads and searches it, light and dark."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.axe import grave_faults, script

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PAGES = (
    "index.html",
    "lessons/21_sampling.html",
    "lessons/12_tgi.html",
    "lessons/glossary.html",
    "exercises/210_softmax.html",
)


def build(site_python, target, root=ROOT):
    command = [site_python, ROOT / "website/build.py", target, "--root", root]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return target


@pytest.fixture(scope="module")
def site(site_python, tmp_path_factory):
    return build(site_python, tmp_path_factory.mktemp("site") / "html")


class Page(HTMLParser):
    """What a page links to, what it loads by itself, and the anchors that others can link to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors, self.next = [], [], set(), None
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "link" and given.get("rel") == "next":
            self.next = given["href"]
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given or (tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon")):
            self.loads.append(given.get("src") or given["href"])


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


def broken(pages):
    """Links and files within the site that lead nowhere."""
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            anchor = unquote(address.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].anchors):
                yield f"{path.name}: {link}"


def test_every_link_holds_and_nothing_is_loaded_from_elsewhere(site, pages):
    assert len(pages) > 60
    assert list(broken(pages)) == []
    assert [load for page in pages.values() for load in page.loads if re.match(r"(https?:)?//", load)] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    path = tmp_path / "a.html"
    path.write_text("<h1 id='here'><a href='b.html'></a><a href='#there'></a><a href='#here'></a><img src='c.png'>")
    assert list(broken({path: Page(path)})) == ["a.html: b.html", "a.html: #there", "a.html: c.png"]


def test_every_notebook_is_a_page_with_hints_and_without_solutions(site):
    for folder, name in (("notebooks", "lessons"), ("exercises", "exercises")):
        for notebook in (ROOT / folder / "en").glob("*.ipynb"):
            text = (site / "en" / name / f"{notebook.stem}.html").read_text(encoding="utf-8")
            assert "colab.research.google.com" in text
            assert "Deploy(" not in text or "A running notebook shows the panel" in text
            if name == "exercises":
                assert text.count("<summary>Hint ") == 3
                assert "Why this is right" not in text


def test_the_next_page_is_the_next_lesson_of_the_syllabus(site, pages):
    wanted = re.findall(r"^\| \[.*?\]\(notebooks/en/(\w+)\.ipynb\)", (ROOT / "README.md").read_text(), re.MULTILINE)
    at, found = (site / "en/index.html").resolve(), []
    for _lesson in wanted:
        at = (at.parent / pages[at].next).resolve()
        found.append(at.stem)
    assert found == wanted


@pytest.fixture
def visit(site, browser):
    """Opens a page of the site without a network; gives it, what it asked for and what its console complained of."""
    contexts = []

    def open_(name, theme="light", **view):
        context = browser.new_context(offline=True, viewport={"width": 1280, "height": 1000, **view})
        contexts.append(context)
        page = context.new_page()
        asked, complaints = [], []
        page.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
        page.goto((site / name).as_uri())
        return page, asked, complaints

    yield open_
    for context in contexts:
        context.close()


def outside(asked):
    return [url for url in asked if not url.startswith(("file:", "data:", "about:"))]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_open_from_a_folder(visit, screenshots, theme):
    for name in PAGES:
        page, asked, complaints = visit(f"en/{name}", theme)
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        expect(page.locator("article h1").first).to_be_visible()
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(each => each < 64)")
        assert dark == (theme == "dark")
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name} scrolls sideways"
        page.screenshot(path=screenshots / f"website-{Path(name).stem}-{theme}.png")
        assert not outside(asked)
        assert not complaints


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_read_them(visit, theme):
    script()
    for name in PAGES:
        page, _asked, _complaints = visit(f"en/{name}", theme)
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        assert grave_faults(page, "article") == [], name


def test_pictures_and_questions_are_there(visit):
    page, _asked, _complaints = visit("en/lessons/21_sampling.html", "dark")
    assert page.locator(".picture svg[role=img]").first.bounding_box()["width"] > 300
    diagram = page.locator("img[src^='data:image/svg']").first
    diagram.scroll_into_view_if_needed()
    page.wait_for_function("image => image.naturalWidth > 300", arg=diagram.element_handle())
    assert "llama.cpp applies" in diagram.get_attribute("alt")
    expect(page.locator(".text_html table").first).to_contain_text("struck out by")
    style = "([css, name]) => getComputedStyle(document.querySelector(css))[name].match(/[\\d.]+/g).map(Number)"
    assert min(page.evaluate(style, [".picture text", "fill"])) > 150, "light on a dark page"
    assert page.evaluate(style, [".text_html", "backgroundColor"]) == [0, 0, 0, 0], "with no ground of its own"
    option = page.locator("details", has_text="One, or very few.").first
    option.locator("summary").click()
    expect(option).to_contain_text("Right.", use_inner_text=True)


def test_search_finds_a_word(visit, screenshots):
    page, asked, complaints = visit("index.html")
    page.wait_for_url("**/en/index.html")
    page.locator(".bd-sidebar-primary .search-button-field").click()
    page.locator("dialog input[type=search]").fill("perplexity")
    page.keyboard.press("Enter")
    result = page.locator("#search-results a", has_text="31 Quantisation").first
    expect(result).to_be_visible()
    page.screenshot(path=screenshots / "website-search.png")
    result.click()
    expect(page.locator("article h1").first).to_contain_text("31 Quantisation")
    assert not outside(asked)
    assert not complaints


def test_a_second_language_has_the_same_pages_and_a_switch(site_python, tmp_path):
    """A course of one lesson, in English and in a language that is not translated."""
    root, name = tmp_path / "course", "13_library"
    cells = [{"cell_type": "markdown", "metadata": {}, "source": text} for text in ("Facts", "# Library")]
    notebook = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    for language in ("en", "zh_TW"):
        for folder in ("notebooks", "exercises"):
            (root / folder / language).mkdir(parents=True)
        (root / "notebooks" / language / f"{name}.ipynb").write_text(notebook)
    rows = ("| lesson |", "|---|", "| **Deploying** |", f"| [13 Library](notebooks/en/{name}.ipynb) |", "", "End")
    (root / "README.md").write_text("\n".join(rows))
    site = build(site_python, tmp_path / "html", root)
    pages = {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    assert f"../../zh_TW/lessons/{name}.html" in pages[site / f"en/lessons/{name}.html"].links
    assert list(broken(pages)) == []
