"""Pages and tables from results: what each page shows and never shows, whatever learners write."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest

from courselib.grading import pages
from courselib.grading.by_hand import Mark, Marks
from courselib.grading.results import Result
from tests.exercises.cases_sampling import softmax_numpy
from tests.grading import class_answers
from tests.grading.results_of_a_class import (
    ASSIGNMENTS,
    COUNTED,
    HOSTILE,
    NAMES,
    NUCLEUS,
    ROOT,
    SEEDS,
    SOFTMAX,
    class_of_nine,
    judged,
    result,
    waiting,
)


def written(out, results, counted=COUNTED, **options):
    """All that is written, by path."""
    pages.write(out, results, counted, **options)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def feedback_of(files, name):
    return next(data.decode() for path, data in files.items() if path.startswith("feedback/") and name in data.decode())


def rows(data):
    return list(csv.reader(io.StringIO(data.decode())))


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


def test_the_same_results_give_the_same_bytes(tmp_path):
    first, second = (written(tmp_path / name, class_of_nine()) for name in "ab" if not (tmp_path / name).mkdir())
    assert first == second
    assert len([path for path in first if path.startswith("feedback/")]) == len(NAMES)


def test_feedback_has_what_was_asked_what_came_and_why_it_is_wrong(tmp_path):
    verdict = judged(lambda logits, temperature: [1 / len(logits)] * len(logits))
    theirs = result("Ada", SOFTMAX, verdict=verdict, answer="def softmax(): return 'mine'", notes=("A note.",))
    page = Elements(feedback_of(written(tmp_path, [theirs]), "Ada")).text
    for part in (ASSIGNMENTS[SOFTMAX].title, "lesson 21", "0 of 4", verdict, "A note.", "return 'mine'",
                 ASSIGNMENTS[SOFTMAX].judge.read, "Not handed in"):  # fmt: skip
        assert part in page


def test_feedback_shows_no_hidden_call_but_the_one_that_failed_and_no_solution(tmp_path):
    wrong = judged(lambda logits, temperature: [0.5] * len(logits))
    page = feedback_of(written(tmp_path, [result("Ada", SOFTMAX, verdict=wrong, answer="x")]), "Ada")
    judge = ASSIGNMENTS[SOFTMAX].judge
    shown = [call for call in judge.calls(1) if str(call[0][0]) in page]
    assert len(judge.calls(1)) > 3 and len(shown) == 1
    solution = json.loads((ROOT / "solutions" / "en" / f"{SOFTMAX}.ipynb").read_text(encoding="utf-8"))
    cell = next(each for each in solution["cells"] if each["metadata"].get("nbgrader", {}).get("solution"))
    secret = [
        line.strip() for line in cell["source"] if len(line.strip()) > 20 and line not in ASSIGNMENTS[SOFTMAX].stub
    ]
    assert secret and not any(line in page for line in secret)


def test_feedback_shows_no_other_learner_and_no_figure_of_the_class(tmp_path):
    files = written(tmp_path, class_of_nine())
    page = feedback_of(files, NAMES[0])
    assert not [name for name in NAMES[1:] if name in page]
    assert "4712" not in page and "Median" not in page and "alike" not in page
    assert "OSError" not in feedback_of(files, "It could not be judged.")


def test_the_instructor_sees_everything(tmp_path):
    page = written(tmp_path, class_of_nine())["index.html"].decode()
    text = Elements(page).text
    parts = ("Median", "OSError: no space", "diary.ipynb", "211_nucleus: 100\u00a0% alike", "recognised mistake",
             "wait for points", "a hint and no proof", "answers of fewer than 80 tokens are not compared")  # fmt: skip
    for part in parts:
        assert part in text
    links = re.findall(r'href="(feedback/[^"]+)"', page)
    assert len(set(links)) == len(NAMES)
    assert all((tmp_path / link).is_file() for link in links)
    hardest = re.search(r"hardest first.*?</table>", page, re.DOTALL)[0]
    assert hardest.index(SOFTMAX) < hardest.index(NUCLEUS)
    alike = re.search(r"Answers that are alike.*?<h2", page, re.DOTALL)[0]
    assert set(re.findall(rf"{'|'.join(NAMES)}", alike)) == {NAMES[0], NAMES[8]}


def test_wrong_answers_are_grouped_by_their_mistake(tmp_path):
    flat = judged(lambda logits, temperature: softmax_numpy(logits, 1 / temperature))
    results = [result(name, SOFTMAX, verdict=flat, answer="x") for name in NAMES[:3]]
    results.append(result(NAMES[3], SOFTMAX, verdict="It took too long.", answer="x"))
    text = Elements(written(tmp_path, results)["index.html"].decode()).text
    known = flat.partition("\n")[0]
    assert f"3 × {known} (recognised mistake){', '.join(sorted(NAMES[:3]))}" in text
    assert f"1 × It took too long. (not recognised){NAMES[3]}" in text


def hostile_class():
    hostile = {"notes": (HOSTILE,), "failed": HOSTILE}
    return [
        Result(HOSTILE, HOSTILE, HOSTILE, SOFTMAX, 0, 4, f"{HOSTILE}\n{HOSTILE}", (HOSTILE,), HOSTILE, HOSTILE),
        result("../../etc/passwd", SOFTMAX, verdict=HOSTILE, answer="</code></pre><img src=x onerror=alert(1)>"),
        result('" onmouseover="x', SOFTMAX, verdict="</details>", answer=HOSTILE * 100, **hostile),
        *(result(name, NUCLEUS, answer=f"</pre>{class_answers.NUCLEUS[0]}# {HOSTILE}") for name in ("<b>", "A" * 5000)),
        Result("a\nb", "", HOSTILE, verdict=HOSTILE),
        waiting("=1+1", HOSTILE),
    ]


def test_nothing_that_learners_write_becomes_markup_or_is_hidden(tmp_path):
    plain = [Elements(data.decode()) for path, data in written(tmp_path / "p", made(tmp_path / "p")).items()
             if path.endswith("html")]  # fmt: skip
    allowed = set().union(*(page.tags for page in plain))
    Marks(tmp_path).give(hostile_class()[-1], Mark(1, HOSTILE))
    files = written(tmp_path, hostile_class())
    for path, data in files.items():
        text = data.decode()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800]", text), path
        if path.endswith(".html"):
            page = Elements(text)
            assert set(page.tags) <= allowed, path
            assert not [name for name, _value in page.attributes if name.startswith("on")]
            assert not [tag for tag in page.tags if tag in ("script", "img", "iframe", "link")]
    assert "<script>alert('x')</script>" in Elements(feedback_of(files, "1 of 6")).text


def made(folder):
    folder.mkdir()
    return class_of_nine()


def test_no_feedback_page_is_written_elsewhere_or_twice(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    names = ["../../x", "..", "", "CON", "a/b", "a\\b", "ab", "AB", "Ab", "é", "e\u0301", "x" * 5000]
    results = [result(name, SOFTMAX, answer="x", number=number) for name in names for number in ("", "1")]
    files = written(out, results)
    pages_ = [path for path in files if path.startswith("feedback/")]
    assert len({path.lower() for path in pages_}) == len(results)
    assert all(re.fullmatch(r"feedback/[a-z0-9-]{1,60}\.html", path) for path in pages_)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_pages_ask_no_other_file_and_no_network(tmp_path):
    for path, data in written(tmp_path, class_of_nine(), is_unsafe=True).items():
        if path.endswith(".html"):
            assert b"default-src &#x27;none&#x27;" in data
            assert not re.search(rb'src=|url\(|@import|href="(?!feedback/|[a-z]+\.csv)', data)


@pytest.mark.parametrize("unsafe", [True, False])
def test_each_page_warns_where_code_was_not_confined(tmp_path, unsafe):
    for path, data in written(tmp_path, class_of_nine(), is_unsafe=unsafe).items():
        if path.endswith(".html"):
            assert (b"--unsafe" in data) == unsafe, path


def test_pages_of_learners_who_are_gone_go(tmp_path):
    before = written(tmp_path, class_of_nine())
    after = written(tmp_path, class_of_nine()[:3])
    assert len(after) == len(before) - len(NAMES) + 1


def test_without_results_there_is_a_page(tmp_path):
    assert b"no points to show" in written(tmp_path, [], {})["index.html"]


def test_tables_have_the_columns_that_platforms_import(tmp_path):
    files = written(tmp_path, class_of_nine())
    scores, canvas, moodle = (rows(files[f"{name}.csv"]) for name in ("scores", "canvas", "moodle"))
    assert scores[0] == ["learner", "platform_id", SOFTMAX, NUCLEUS, SEEDS, "total", "of"]
    assert canvas[:2] == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "courselib"],
        ["    Points Possible", "", "", "", "", "15"],
    ]
    # Without the last of them, Moodle refuses the file.
    assert {"Identifier", "Grade", "Last modified (grade)"} <= set(moodle[0])
    thompson = {name: next(row for row in table if NAMES[8] in row) for name, table in
                (("scores", scores), ("canvas", canvas), ("moodle", moodle))}  # fmt: skip
    assert thompson["scores"] == [NAMES[8], "4719", "4", "5", "0", "9", "15"]
    assert thompson["canvas"] == [NAMES[8], "4719", "", "", "", "9"]
    assert thompson["moodle"] == ["Participant 4719", NAMES[8], "9", "15", ""]


def test_a_total_that_will_change_is_given_to_no_platform(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    answer = waiting("Ada", class_answers.ESSAYS[0], "7")
    files = written(out, [answer])
    assert rows(files["scores.csv"])[1] == ["Ada", "7", "0", "0", "", "0", "15"]
    assert rows(files["canvas.csv"])[2][-1] == rows(files["moodle.csv"])[1][2] == ""
    Marks(out).give(answer, Mark(4.5, "Well said."))
    files = written(out, [answer])
    assert rows(files["scores.csv"])[1] == ["Ada", "7", "0", "0", "4.5", "4.5", "15"]
    assert rows(files["canvas.csv"])[2][-1] == rows(files["moodle.csv"])[1][2] == "4.5"
    assert "Well said." in feedback_of(files, "Ada")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", " =1", "＝1"])
def test_no_cell_is_a_formula(tmp_path, name):
    files = written(tmp_path, [result(name, SOFTMAX, answer="x", number=name)])
    for table in ("scores.csv", "canvas.csv", "moodle.csv"):
        for cell in (cell for row in rows(files[table]) for cell in row):
            assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝")), table
