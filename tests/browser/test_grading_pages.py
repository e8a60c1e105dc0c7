"""The grader's pages in a browser: links, folds, the form, and nothing that keeps people from using them."""

import contextlib
import threading

import pytest
from playwright.sync_api import expect

from courselib.grading import form, pages
from courselib.grading.by_hand import Mark, Marks, to_give
from courselib.grading.rubric import read_rubric
from tests.browser.axe import grave_faults
from tests.grading.results_of_a_class import COUNTED, NAMES, ROOT, SEEDS, class_of_nine

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OPEN_ALL = "document.querySelectorAll('details').forEach(fold => { fold.open = true; })"
# To an element of the page, not to what its folds or tables hide by scrolling.
WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture(params=["light", "dark"])
def page(browser, request):
    # Scripts that a test brings, such as axe's, are stopped by the pages' policy as all others are.
    context = browser.new_context(viewport={"width": 1100, "height": 900}, color_scheme=request.param, bypass_csp=True)
    opened = context.new_page()
    opened.theme = request.param
    yield opened
    context.close()


@contextlib.contextmanager
def served(answers, marks):
    """The form, on this machine; gives its address."""
    addresses, there, done = [], threading.Event(), []

    def told(address):
        addresses.append(address)
        there.set()

    def make(finish):
        done.append(finish)
        return form.Form(answers, marks, {SEEDS: read_rubric(ROOT, SEEDS)}, finish=finish)

    server = threading.Thread(target=form.serve, args=(make, told))
    server.start()
    try:
        assert there.wait(60)
        yield addresses[0]
    finally:
        done[0]()
        server.join(60)
        assert not server.is_alive()


def test_the_instructors_page_and_a_learners(page, tmp_path, screenshots):
    results = class_of_nine()
    Marks(tmp_path).give(to_give(results)[0], Mark(4.5, "Right on the draws."))
    pages.write(tmp_path, results, COUNTED, is_unsafe=True)
    page.goto((tmp_path / pages.INDEX).as_uri())
    expect(page.get_by_role("note").first).to_contain_text("--unsafe")
    page.evaluate(OPEN_ALL)
    expect(page.locator(".side-by-side mark").first).to_be_visible()
    assert grave_faults(page, "html") == []
    page.screenshot(path=screenshots / f"grading-index-{page.theme}.png", full_page=True)
    page.set_viewport_size({"width": 700, "height": 900})
    assert page.evaluate(WIDTH) <= 700
    page.get_by_role("link", name=NAMES[1]).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Feedback for {NAMES[1]}")
    answer = page.locator("pre").first
    expect(answer).to_be_hidden()
    page.get_by_text("Your answer").first.click()
    expect(answer).to_be_visible()
    page.evaluate(OPEN_ALL)
    assert grave_faults(page, "html") == []
    assert page.evaluate(WIDTH) <= 700
    page.screenshot(path=screenshots / f"grading-feedback-{page.theme}.png", full_page=True)


def test_answers_are_graded_with_the_keyboard_alone(page, tmp_path, screenshots):
    answers, marks = to_give(class_of_nine()), Marks(tmp_path)
    with served(answers, marks) as address:
        page.goto(address)
        assert grave_faults(page, "html") == []
        page.get_by_role("link", name="Go to the next answer").press("Enter")
        expect(page.get_by_label("Points")).to_be_focused()
        assert grave_faults(page, "html") == []
        page.screenshot(path=screenshots / f"grading-form-{page.theme}.png", full_page=True)
        page.keyboard.type("7")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Answer 1 of 3")  # the browser refuses 7 of 6
        page.get_by_label("Points").fill("4.5")
        page.keyboard.press("Tab")
        page.keyboard.type("Say why.")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Answer 2 of 3")
        assert Marks(tmp_path).of(answers[0]) == Mark(4.5, "Say why.")
        page.get_by_role("link", name="All answers").click()
        expect(page.locator("main")).to_contain_text("2 of 3 answers are not graded yet")
        page.get_by_role("button", name="Finish").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Finished")
