"""Points given by hand: kept at once, kept for ever, for what was written; the form, and the whole command."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace

import httpx
import pytest
from starlette.testclient import TestClient

from courselib.grading.by_hand import JOURNAL, Mark, Marks, to_give
from courselib.grading.form import Form
from courselib.grading.rubric import Rubric, read_rubric
from tests.cli.running import run, started
from tests.grading import class_answers
from tests.grading.results_of_a_class import HOSTILE, NAMES, ROOT, SEEDS, class_of_nine, waiting


@pytest.fixture
def answers():
    return to_give(class_of_nine())


@pytest.fixture
def site(tmp_path, answers):
    """The form, and a client that follows no redirection."""
    form = Form(answers, Marks(tmp_path), {SEEDS: read_rubric(ROOT, SEEDS)})
    return form, TestClient(form.app, f"http://127.0.0.1/{form.key}/", follow_redirects=False)


def test_a_mark_is_on_the_disk_at_once_and_the_last_one_counts(tmp_path, answers):
    marks = Marks(tmp_path)
    for points in (2, 3.5):
        marks.give(answers[0], Mark(points, "Too short."))
        assert Marks(tmp_path).of(answers[0]) == Mark(points, "Too short.")
    assert len((tmp_path / JOURNAL).read_text().splitlines()) == 2
    assert Marks(tmp_path).of(answers[1]) is None


def test_a_line_that_was_not_written_to_its_end_costs_only_itself(tmp_path, answers):
    marks = Marks(tmp_path)
    marks.give(answers[0], Mark(2))
    whole = (tmp_path / JOURNAL).read_bytes()
    marks.give(answers[1], Mark(3))
    for length in range(len(whole), len((tmp_path / JOURNAL).read_bytes())):
        (tmp_path / JOURNAL).write_bytes((whole + whole)[:length])
        kept = Marks(tmp_path)
        assert (kept.of(answers[0]), kept.of(answers[1])) == (Mark(2), None)
        kept.give(answers[1], Mark(4))
        assert Marks(tmp_path).of(answers[1]) == Mark(4)


def test_points_belong_to_what_was_written(tmp_path, answers):
    marks = Marks(tmp_path)
    marks.give(answers[0], Mark(2))
    assert marks.applied([replace(answers[0], path="elsewhere.ipynb", notes=("x",))])[0].points == 2
    assert marks.applied([replace(answers[0], answer="another")])[0].points is None
    assert marks.applied([replace(answers[0], learner="another")])[0].points is None
    # What has become wrong by itself, such as an empty answer, keeps the verdict.
    assert marks.applied([replace(answers[0], points=0)])[0].points == 0


def test_the_order_is_not_that_of_the_learners():
    names = [f"learner {n:02}" for n in range(20)]
    order = [each.learner for each in to_give([waiting(name, f"answer of {name}") for name in names])]
    assert sorted(order) == names != order
    assert order == [each.learner for each in to_give([waiting(name, f"answer of {name}") for name in names[::-1]])]


def test_the_form_shows_answer_and_rubric_and_no_name(site, answers):
    _form, client = site
    page = client.get("1").text
    assert "border" in page and "six things" in page and "Temperature 0 is called a guarantee." in page
    for name in NAMES:
        assert name not in page and name not in client.get("./").text


def test_points_are_written_and_the_next_answer_comes(site, tmp_path, answers):
    _form, client = site
    to = client.post("1", data={"points": "4,5", "comment": "Good.\r\nNearly all."})
    assert (to.status_code, to.headers["location"]) == (303, "2")
    assert Marks(tmp_path).of(answers[0]) == Mark(4.5, "Good.\nNearly all.")
    assert client.post("3", data={"points": "6"}).headers["location"] == "2"
    assert client.post("2", data={"points": "0", "comment": ""}).headers["location"] == "./"
    assert "0 of 3 answers are not graded yet" in client.get("./").text
    assert 'value="4.5"' in client.get("1").text  # which may be changed


@pytest.mark.parametrize("typed", ["", "7", "-1", "nan", "inf", "x", "1e999", "<b>"])
def test_what_is_no_number_of_points_is_refused_and_the_comment_kept(site, tmp_path, typed):
    _form, client = site
    answer = client.post("1", data={"points": typed, "comment": "A <long> comment"})
    assert answer.status_code == 422
    assert "Nothing was saved" in answer.text and "A &lt;long&gt; comment" in answer.text and "<b>" not in answer.text
    assert not (tmp_path / JOURNAL).exists()


def test_without_the_key_there_is_nothing(site):
    form, client = site
    for path in ("/", "/1", "/wrong/", "/wrong/1", f"/{form.key[:-1]}/1"):
        assert client.get(f"http://127.0.0.1{path}").status_code == 404
        assert client.post(f"http://127.0.0.1{path}", data={"points": "6"}).status_code == 404
    assert client.get("9").status_code == client.post("0", data={"points": "1"}).status_code == 404


def test_a_hostile_answer_is_text(tmp_path):
    form = Form([waiting(HOSTILE, f"</pre>{HOSTILE}")], Marks(tmp_path), {SEEDS: Rubric("# Why?")})
    page = TestClient(form.app, f"http://127.0.0.1/{form.key}/").get("1")
    assert "<script" not in page.text and "\x1b" not in page.text and "&lt;/pre&gt;" in page.text
    assert "no rubric" in page.text
    assert page.headers["cache-control"] == "no-store"


def test_each_exercise_has_a_rubric():
    for path in (ROOT / "exercises" / "en").glob("*.ipynb"):
        rubric = read_rubric(ROOT, path.stem)
        assert rubric.question.startswith("# ") and "def " in rubric.answer and "Why this is right" in rubric.reasons


def test_where_solutions_are_missing_there_is_only_the_question(tmp_path):
    (tmp_path / "exercises").symlink_to(ROOT / "exercises")
    rubric = read_rubric(tmp_path, SEEDS)
    assert rubric.question.startswith("# Explain") and rubric.answer == rubric.reasons == ""


def notebook(answer):
    """The learner's copy with an answer."""
    made = json.loads((ROOT / "exercises" / "en" / f"{SEEDS}.ipynb").read_text(encoding="utf-8"))
    next(c for c in made["cells"] if c["metadata"].get("nbgrader", {}).get("solution"))["source"] = answer
    return json.dumps(made)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="learners' code is limited by what POSIX has")
def test_from_notebooks_to_points_by_hand_which_no_later_run_loses(tmp_path):
    out = tmp_path / "results"
    for name, answer in zip(("Ada\x1b[31m", "<i>Bob"), class_answers.ESSAYS, strict=False):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / f"{SEEDS}.ipynb").write_text(notebook(answer))
    grade = ("grade", str(tmp_path / "in"), "--out", str(out), "--unsafe")
    assert "no finished results" in run("grade-by-hand", str(tmp_path), cwd=ROOT).stderr
    done = run(*grade, cwd=ROOT)
    assert done.returncode == 0 and "\x1b" not in done.stdout + done.stderr, done.stderr
    assert "2 answers wait for points from a person" in (out / "index.html").read_text()
    for number, points in ((1, "5"), (2, "2")):
        with started("grade-by-hand", str(out), stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert "2 answers" in process.stdout.readline()
            address = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", address)
            first = httpx.get(address, timeout=60).text
            assert f"{3 - number} of 2 answers are not graded yet" in first
            httpx.post(f"{address}{number}", data={"points": points, "comment": "By hand."}, timeout=60)
            if number == 1:
                process.kill()  # the points are in the journal, and the tables know nothing of them yet
            else:
                process.send_signal(signal.SIGTERM)
            process.wait(60)
    assert "for points from a person" not in (out / "index.html").read_text()
    scores = (out / "scores.csv").read_text()
    assert sorted(re.findall(r",(\d),6$", scores, re.MULTILINE)) == ["2", "5"]
    # Graded again under another key: other results, the same answers.
    assert run(*grade[:-1], "--key", "another", "--unsafe", cwd=ROOT).returncode == 0
    assert (out / "scores.csv").read_text() == scores
    for page in (out / "feedback").iterdir():
        assert "By hand." in page.read_text() and "--unsafe" in page.read_text()
