"""The hub's token goes to a container only where its model cannot be had without one."""

import json

import httpx
import pytest
from huggingface_hub.errors import RepositoryNotFoundError

from courselib.engines.tgi.model import needed_token


@pytest.fixture
def signed_in(monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_mine")


def answer(status, **body):
    request = httpx.Request("GET", "http://hub.invalid")
    return httpx.Response(status, content=json.dumps(body), request=request)


class FakeHubApi:
    """Answers for three repositories as the hub does to somebody who is not signed in."""

    def model_info(self, repository, *, token, timeout):
        assert token is False
        if repository == "owner/private":
            raise RepositoryNotFoundError("401 Client Error", response=answer(401))
        if repository == "owner/gone":
            raise httpx.ConnectTimeout("the hub is silent")
        gated = {"owner/open": False, "owner/gated": "auto"}[repository]
        return type("FakeModelInfo", (), {"gated": gated})()


@pytest.mark.parametrize(
    ("model", "token"),
    [
        ("owner/open", None),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", None),  # the course's own: the hub is not asked
        ("/home/me/model", None),
        ("owner/gated", "hf_mine"),
        ("owner/private", "hf_mine"),
        ("owner/gone", "hf_mine"),
    ],
)
def test_for_whom(signed_in, monkeypatch, model, token):
    monkeypatch.setattr("huggingface_hub.HfApi", FakeHubApi)
    assert needed_token(model) == token


def test_who_is_not_signed_in_has_none_and_the_hub_is_not_asked(monkeypatch):
    monkeypatch.setattr("huggingface_hub.HfApi", None)
    assert needed_token("owner/open") is None
