"""A saved notebook shows of a Deploy panel what is known before a start."""

import xml.etree.ElementTree as ElementTree

import pytest

from courselib.panels.base import VIEW
from courselib.panels.deploy import Deploy


@pytest.fixture
def desk():
    panel = Deploy(context=512)
    yield panel
    panel.wait(60)


def test_settings_sizes_and_the_command(desk):
    bundle = desk._repr_mimebundle_()
    picture, text = bundle["text/html"], bundle["text/plain"]
    ElementTree.fromstring(f"<all>{picture}</all>")
    assert VIEW in bundle and repr(desk) == "Deploy(engine='llama.cpp')"
    for shown in (picture, text):
        assert "smollm2-135m · before the start" in shown and "11.25 MiB" in shown and "simulated" in shown
        assert "--ctx-size 512" in shown
    assert picture.index("<code>context</code>") < picture.index("<details>") < picture.index("<code>parallel</code>")
    assert "context=512" in picture and not any(word in picture for word in ("<script", "<style", "class="))


def test_it_follows_the_settings(desk):
    desk.context = 1024
    assert "--ctx-size 1024" in desk._repr_mimebundle_()["text/html"]


def test_settings_that_are_refused_say_why(desk):
    desk.flash_attn, desk.cache_type_v = "off", "q8_0"
    bundle = desk._repr_mimebundle_()
    assert "needs FlashAttention" in bundle["text/html"] and "needs FlashAttention" in bundle["text/plain"]
    assert "--ctx-size" not in bundle["text/html"]
