"""The cheat sheets: tables that are the code's, and commands that work."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import courselib
from courselib.authoring import cheats
from courselib.engines.settings_help import settings_help
from courselib.engines.tgi.values import IMAGE
from courselib.errors import LessonError
from tests.cli.running import run

ROOT = Path(__file__).parents[2]
SHEETS = {sheet.engine.name: (sheet, text) for sheet, text in cheats.pages(ROOT)}
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
every_sheet = pytest.mark.parametrize("engine", SHEETS)


def blocks(engine, language, heading):
    section = SHEETS[engine][1].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [text for kind, text in BLOCK.findall(section) if kind == language]
    assert found, (engine, language, heading)
    return found


def test_there_is_one_for_each_engine():
    assert set(SHEETS) == {"llama.cpp", "vllm", "tgi"}


@every_sheet
def test_ten_settings_with_their_defaults_and_every_control(engine):
    sheet, text = SHEETS[engine]
    table = text.partition("## Ten settings")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*) \|$", table, re.MULTILINE)
    assert len(rows) == 10
    defaults = {each.name: each.default for each in fields(sheet.engine.settings_type)}
    for name, flag, default, _sentence in rows:
        assert default == ("" if defaults[name] is None else f"`{defaults[name]}`")
        assert flag.strip("`").split(",")[0] in settings_help(sheet.engine.settings_type)[name]
        assert flag, name
    for control in courselib.Controls.__dataclass_fields__:
        assert f"| `{control}` | " in text
    assert "{" not in re.sub(r"`[^`]*`", "", BLOCK.sub("", text))  # no mark is left, and no value's place


@every_sheet
def test_each_error_has_what_to_do(engine):
    table = SHEETS[engine][1].partition("| error | what is wrong | what to do |\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[1:]]
    assert len(rows) == len(SHEETS[engine][0].engine.causes)
    assert [row for row in rows if len(row) != 3 or not all(row)] == []


def test_what_is_not_there_is_refused():
    sheet = cheats.SHEETS[0]
    for source, message in (
        ("{settings: colour}", "no setting 'colour'"),
        ("{tables}", "no table 'tables'"),
        ("It tells.", "write returns"),
    ):
        with pytest.raises(LessonError, match=message):
            cheats.page(sheet, source)


def test_tgis_command_is_one_that_its_settings_take():
    (command,) = blocks("tgi", "bash", "Start")
    words = shlex.split(command)
    assert IMAGE in words
    flags = {word[2:].replace("-", "_") for word in words[words.index(IMAGE) :] if word.startswith("--")}
    assert flags - {"model_id"} <= {each.name for each in fields(cheats.Tgi.settings_type)}


def ask(engine, server, key_name):
    """Runs what the sheet shows, against a live server in place of the port and the key in it."""
    environment = {**os.environ, key_name: server.key, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    for language, heading in (("bash", "Ask"), ("python", "Ask"), ("bash", "Health and metrics")):
        for text in blocks(engine, language, heading):
            text = re.sub(r"http://127\.0\.0\.1:\d+", server.url, text)
            program = ["bash", "-ec", text] if language == "bash" else [sys.executable, "-c", text]
            done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (text, done.stdout, done.stderr)
            if heading == "Ask":
                assert done.stdout.strip(), text


@pytest.mark.engine
def test_llama_cpps_commands_work():
    (command,) = blocks("llama.cpp", "bash", "Start")
    with courselib.launch("llama.cpp", context=2048) as server:
        ask("llama.cpp", server, "LLAMA_API_KEY")
    known = set(re.findall(r"--[\w-]+", run("llama-server", "--help").stdout))
    assert {word for word in shlex.split(command) if word.startswith("--")} <= known


@pytest.mark.engine
def test_tgis_requests_work_on_the_gateway():
    with courselib.launch("tgi-gateway") as server:
        ask("tgi", server, "API_KEY")


@pytest.mark.engine
@pytest.mark.slow
def test_vllms_commands_work(installed):
    with courselib.launch("vllm", max_model_len=1024, python=str(installed.python)) as server:
        ask("vllm", server, "VLLM_API_KEY")
