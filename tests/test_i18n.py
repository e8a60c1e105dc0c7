"""Every sentence a person sees can be translated: shown here in a language in which each is «quoted»."""

import gettext
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo

import courselib
from courselib import i18n
from courselib.errors import CourseError

PACKAGE = Path(courselib.__file__).parent
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}


@pytest.fixture(scope="module")
def messages():
    found = extract_from_dir(PACKAGE, method_map=[("**.py", "python")], keywords=KEYWORDS)
    return [message for _file, _line, message, _comments, _context in found]


@pytest.fixture
def quoted(messages, tmp_path, monkeypatch):
    catalogue = Catalog(locale="zh_TW")
    for message in messages:
        one = message[0] if isinstance(message, tuple) else message
        catalogue.add(message, string=(f"«{one}»",) if isinstance(message, tuple) else f"«{message}»")
    folder = tmp_path / "zh_TW" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "courselib.mo").open("wb") as file:
        write_mo(file, catalogue)
    monkeypatch.setattr(i18n, "_LOCALE", tmp_path)
    i18n.set_language("zh_TW")
    yield
    i18n.set_language("en")


def test_there_are_messages_and_none_is_filled_in_before_translating(messages):
    assert len(messages) > 150
    texts = [text for message in messages for text in (message if isinstance(message, tuple) else (message,))]
    assert all(isinstance(text, str) and text.strip() for text in texts)


def test_errors_are_translated(quoted):
    from courselib.engines.llamacpp.engine import ENGINE
    from courselib.engines.llamacpp.settings import LlamaCppSettings

    with pytest.raises(CourseError, match=r"^«context is 0"):
        LlamaCppSettings(context=0)
    assert str(ENGINE.diagnose("failed to load model", 1, "")).startswith("«llama.cpp could not load")


def test_panels_are_translated(quoted):
    desk = courselib.Deploy()
    assert "«Deploy»" in desk._header.value
    assert desk.start_button.description == "«Start»"
    assert "«KV cache»" in desk.facts.value


def test_unknown_language_is_english():
    i18n.set_language("xx")
    assert i18n._("Start") == "Start"
    assert isinstance(i18n._catalogue, gettext.NullTranslations)


def test_every_cause_of_a_failure_is_marked_for_translation(messages):
    from courselib.engines.registry import engine_names, get_engine

    for name in engine_names():
        for cause in get_engine(name).causes:
            assert cause.message in messages
