"""None of the zoo gains a point, finds anything, harms anyone, or stops the run."""

import contextlib
import csv
import dataclasses
import json
import platform
import socketserver
import threading
from pathlib import Path

import psutil
import pytest

import courselib
from courselib.grading import sandbox
from tests.grading.class_room import SHORT, grade, hand_in, with_answer
from tests.grading.conftest import COURSE
from tests.grading.zoo import ANIMALS, LEFT_BEHIND, LOOT

SECRET, PLANTED = "ZOO_SECRET_0c9d", "planted-text-51aa"
# Code of the judges, of which nothing may come out.
JUDGES = ("N_(", "Mistake(", "Function(", "def _", "from courselib")
QUICK = [animal for animal in ANIMALS if not animal.waits]
RIGHT = ("0-right", "m-right", "zz-right")
CLONE, KEYCTL = (220, 219) if platform.machine() == "aarch64" else (56, 250)


class Zoo:
    """Animals graded in one run, with right answers among them, and what lies outside."""

    def __init__(self, folder: Path, assignments, solution, monkeypatch, animals, **how):
        self.planted, self.submissions, self.out = folder / "planted", folder / "submissions", folder / "results"
        for each in (self.planted, self.submissions, self.out):
            each.mkdir(parents=True)
            each.chmod(0o777)
        (self.planted / "gradebook.txt").write_text(PLANTED)
        folder.chmod(0o755)
        monkeypatch.setenv("ZOO_SECRET", SECRET)
        self.calls = []
        with self._listening() as port:
            words = {
                "@PLANTED@": self.planted,
                "@OUT@": self.out,
                "@SUBMISSIONS@": self.submissions,
                "@PACKAGE@": Path(courselib.__file__).parent,
                "@COURSE@": COURSE / "solutions",
                "@PORT@": port,
                "@ABSTRACT@": self.abstract,
                "@CLONE@": CLONE,
                "@KEYCTL@": KEYCTL,
            }
            for animal in animals:
                code = animal.code
                for word, value in words.items():
                    code = code.replace(word, str(value))
                hand_in(self.submissions, animal.name, animal.exercise, with_answer(solution(animal.exercise), code))
            for learner in RIGHT:
                hand_in(self.submissions, learner, "010_ttft", solution("010_ttft"))
            hand_in(self.submissions, RIGHT[-1], "121_port_program", solution("121_port_program"))
            self.before = self.outside()
            self.results = grade(self.submissions, self.out, assignments, **how)
        self.of = {each.learner: each for each in self.results if each.learner not in RIGHT}

    def outside(self):
        """What lies where nobody may write."""
        paths = sorted([*self.planted.rglob("*"), *self.submissions.rglob("*")])
        return [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]

    def _listening(self):
        """A port and two sockets on this machine that nobody inside may reach; what reaches them is kept."""
        zoo = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                zoo.calls.append(self.server)

        class Unix(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        class Tcp(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.abstract = f"courselib-zoo-{id(self)}"

        @contextlib.contextmanager
        def serving():
            with contextlib.ExitStack() as stack:
                # A socket's path is at most 107 bytes long: it is made elsewhere and moved.
                with contextlib.chdir(self.planted) if hasattr(contextlib, "chdir") else contextlib.nullcontext():
                    name = "socket" if hasattr(contextlib, "chdir") else str(self.planted / "socket")
                    servers = [Tcp(("127.0.0.1", 0), Handler), Unix(name, Handler), Unix("\0" + self.abstract, Handler)]
                for server in servers:
                    stack.enter_context(server)
                    threading.Thread(target=server.serve_forever, daemon=True).start()
                    stack.callback(server.shutdown)
                (self.planted / "socket").chmod(0o777)
                yield servers[0].server_address[1]

        return serving()


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def zoo(confinement, tmp_path_factory, assignments, solution, patch):
    return Zoo(tmp_path_factory.mktemp("zoo"), assignments, solution, patch, QUICK)


@pytest.fixture(scope="module")
def waiting(confinement, tmp_path_factory, assignments, solution, patch):
    animals = [animal for animal in ANIMALS if animal.waits]
    return Zoo(tmp_path_factory.mktemp("waiting"), assignments, solution, patch, animals)


def test_the_zoo_is_large_and_each_animal_has_a_name_of_its_own():
    assert len(ANIMALS) >= 40
    assert len({animal.name for animal in ANIMALS}) == len(ANIMALS)


@pytest.mark.parametrize("animal", QUICK, ids=lambda animal: animal.name)
def test_nothing_is_gained_and_nothing_comes_out(zoo, animal):
    check(zoo, animal)


@pytest.mark.slow
@pytest.mark.parametrize("animal", [each for each in ANIMALS if each.waits], ids=lambda animal: animal.name)
def test_nothing_is_gained_by_what_only_a_limit_ends(waiting, animal):
    check(waiting, animal)
    assert "was stopped" in waiting.of[animal.name].verdict


def check(zoo, animal):
    result = zoo.of[animal.name]
    assert result.points == 0
    assert result.verdict
    assert not result.failed
    told = json.dumps(dataclasses.asdict(result)).replace(json.dumps(result.answer), "")
    assert LOOT not in told
    for secret in (SECRET, PLANTED, *JUDGES):
        assert secret not in result.verdict
    assert result.verdict.isprintable() or "\n" in result.verdict
    assert len(result.verdict) < 2000


@pytest.mark.parametrize("name", [pytest.param("zoo"), pytest.param("waiting", marks=pytest.mark.slow)])
def test_right_answers_among_them_are_right_and_nothing_is_changed_or_left(request, name):
    zoo = request.getfixturevalue(name)
    right = [each for each in zoo.results if each.learner in RIGHT]
    assert [each.points for each in right] == [each.most for each in right] != []
    assert len(zoo.results) == len(zoo.of) + len(right)
    assert zoo.outside() == zoo.before
    assert not zoo.calls
    assert {path.name for path in zoo.out.iterdir()} >= {"scores.csv", "log.jsonl"}
    for page in zoo.out.rglob("*.html"):
        assert "<script>alert(1)" not in page.read_text(encoding="utf-8")
    with (zoo.out / "scores.csv").open(newline="") as file:
        rows = {row["learner"]: row for row in csv.DictReader(file)}
    assert {row["total"] for learner, row in rows.items() if learner not in RIGHT} == {"0"}
    assert not left_behind()


def left_behind():
    """Processes of those who ran confined, where the tests run as root, and those that an animal started."""
    users, found = {sandbox.user_of(place) for place in range(8)}, []
    for process in psutil.process_iter(["uids", "cmdline"]):
        uids, words = process.info["uids"], process.info["cmdline"] or ()
        if (uids and uids.real in users) or LEFT_BEHIND in words:
            found.append(process)
    return found


def test_the_tame_succeed_without_confinement(tmp_path, assignments, solution, monkeypatch):
    """So the tests above can fail: without walls these find what they are after."""
    tame = [animal for animal in ANIMALS if animal.tame]
    zoo = Zoo(
        tmp_path / "zoo",
        assignments,
        solution,
        monkeypatch,
        tame,
        unsafe=True,
        limits=dataclasses.replace(SHORT, call_s=30, total_s=60),
    )
    assert {name: LOOT in result.verdict for name, result in zoo.of.items()} == dict.fromkeys(zoo.of, True)
    assert len(zoo.of) == len(tame) >= 7
    assert {result.points for result in zoo.of.values()} == {0}
    assert zoo.outside() != zoo.before
    assert zoo.calls
