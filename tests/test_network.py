"""Proxies and certificates of the environment, against every client that a learner is shown; the addresses, pure."""

import json
import os
import shutil
import ssl
import subprocess
import sys

import pytest
import trustme

from courselib import network
from courselib.controls.code import programs
from courselib.controls.controls import Controls
from courselib.controls.routes import ROUTES
from courselib.engines.endpoint import Endpoint
from courselib.errors import SettingsError
from tests.local_http import refusing_proxy, serving

CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris"}, "text": "Paris"}
ANSWER = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [CHOICE]}
MESSAGES = [{"role": "user", "content": "Hi"}]


def like_llama(_method, path):
    """Enough of llama-server for one answer of each client."""
    if path.endswith("/v1/models"):
        return 200, {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "llamacpp"}]}
    if path.endswith("/health"):
        return 200, {"status": "ok"}
    if path.endswith(("/v1/chat/completions", "/v1/completions")):
        return 200, ANSWER
    if path.endswith("/generate") or path == "/":
        return 200, [{"generated_text": "Paris"}]
    return 404, {"error": {"message": "no such route"}}


@pytest.fixture
def llama():
    with serving(like_llama, called="llama.cpp") as server:
        yield server


@pytest.fixture
def proxy():
    with refusing_proxy() as server:
        yield server


# How environments set their proxies; {proxy} refuses whatever it is asked.
ENVIRONMENTS = {
    "nothing": {},
    "http_proxy": {"http_proxy": "{proxy}"},
    "HTTP_PROXY": {"HTTP_PROXY": "{proxy}", "HTTPS_PROXY": "{proxy}"},
    "ALL_PROXY": {"ALL_PROXY": "{proxy}"},
    "NO_PROXY for others": {"http_proxy": "{proxy}", "NO_PROXY": "example.org"},
    "no_proxy for others": {"http_proxy": "{proxy}", "no_proxy": "example.org,.lan"},
    "NO_PROXY for us": {"http_proxy": "{proxy}", "NO_PROXY": "localhost,127.0.0.1"},
    "NO_PROXY for all": {"http_proxy": "{proxy}", "NO_PROXY": "*"},
    "socks": {"ALL_PROXY": "socks://127.0.0.1:9", "all_proxy": "socks://127.0.0.1:9"},
    "socks and http": {"ALL_PROXY": "socks://127.0.0.1:9", "http_proxy": "{proxy}"},
    "certificates that are not there": {"SSL_CERT_FILE": "/nowhere/ca.pem"},
}
CLIENTS = """
import json, subprocess, sys, warnings
warnings.simplefilter("ignore")
import courselib
from courselib.answers.stream import ChatStream
server = courselib.attach(sys.argv[1])
messages = [{"role": "user", "content": "Hi"}]
got = {"http": server.http.get("/health").status_code}
got["openai"] = server.openai(max_retries=0).chat.completions.create(
    model="m", messages=messages).choices[0].message.content
"""
OTHERS = """
got["hub"] = server.hub().chat_completion(messages).choices[0].message.content
import requests
got["requests"] = requests.get(server.url + "/health").status_code
if sys.argv[2]:
    done = subprocess.run([sys.argv[2], "--silent", "--fail", server.url + "/health"], capture_output=True, text=True)
    got["curl"] = json.loads(done.stdout)["status"] if done.returncode == 0 else done.stderr
print(json.dumps({"got": got, "environment": dict(server.endpoint.environment)}))
"""


def cleared(**environment):
    """This environment without proxies of its own, and what is added."""
    names = {*network.PROXIES, "no_proxy", "ssl_cert_file", "ssl_cert_dir", "requests_ca_bundle"}
    return {name: value for name, value in os.environ.items() if name.lower() not in names} | environment


def run(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=False, timeout=120, env=cleared(**environment),
    )  # fmt: skip


def filled(name, proxy):
    return {key: value.format(proxy=proxy.url) for key, value in ENVIRONMENTS[name].items()}


def asked_for_us(proxy):
    """What was asked of the proxy about this machine; the hub's client asks it about the hub as well."""
    return [path for _method, path in proxy.asked if "127.0.0.1" in path]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_client_reaches_this_machine_straight(name, llama, proxy):
    code = CLIENTS + OTHERS
    if name.startswith("certificates"):  # the hub's client reads them for every address
        code = CLIENTS + OTHERS.replace('got["hub"] = server.hub()', "#")
    done = run(code, llama.url, shutil.which("curl") or "", **filled(name, proxy))
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)["got"]
    expected = {"http": 200, "openai": "Paris", "hub": "Paris", "requests": 200, "curl": "ok"}
    assert got == {client: expected[client] for client in got}
    assert len(got) >= 3
    assert asked_for_us(proxy) == []


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("client", ["openai", "huggingface_hub", "curl"])
def test_a_program_that_is_shown_works_in_a_terminal_with_this_environment(name, client, llama, proxy):
    if client == "curl" and (not shutil.which("curl") or os.name == "nt"):
        pytest.skip("needs curl and a POSIX shell")
    if name.startswith("certificates") and client != "curl":
        pytest.skip("these clients read the certificates for every address, as a learner's own do")
    environment = filled(name, proxy)
    told = "import json, sys, warnings; warnings.simplefilter('ignore'); from courselib import network as n\n"
    told += "n.spare_this_machine(); print(json.dumps(n.program_environment(sys.argv[1])))"
    changes = json.loads(run(told, llama.url, **environment).stdout)
    assert bool(changes) == (name not in ("nothing", "NO_PROXY for us", "NO_PROXY for all") and "certif" not in name)
    here = Endpoint(llama.url, "k", "m", "llama.cpp", environment=changes)
    # Two answers are not streamed, so that the fake need not stream.
    shown = programs(ROUTES["llama.cpp chat"].plan(Controls(n=2)), MESSAGES, here)[client]
    if client == "curl":
        done = subprocess.run(
            ["sh", "-c", shown], capture_output=True, text=True, env=cleared(**environment), check=False
        )
    else:
        done = run(shown, **environment)
    assert "Paris" in done.stdout, shown + done.stdout + done.stderr
    assert asked_for_us(proxy) == []


def test_a_server_elsewhere_is_asked_through_the_proxy(proxy):
    code = "import courselib, sys; courselib.attach('http://courselib.invalid:8080')"
    run(code, http_proxy=proxy.url)
    assert ("GET", "http://courselib.invalid:8080/v1/models") in proxy.asked


def test_a_proxy_that_no_client_takes_is_named_once():
    code = "from courselib import network as n; n.spare_this_machine(); n.spare_this_machine()"
    done = run(code, ALL_PROXY="socks://127.0.0.1:9")
    assert done.returncode == 0
    assert done.stderr.count("ALL_PROXY names a socks proxy") == 1


def test_nothing_is_changed_where_no_proxy_is_set():
    code = "import os; from courselib import network as n; before = dict(os.environ); n.spare_this_machine('10.0.0.1')"
    assert run(code + "; assert before == dict(os.environ)").returncode == 0


def test_setup_spares_this_machine():
    code = "import os, courselib; courselib.setup(); print(os.environ['NO_PROXY'], os.environ['no_proxy'])"
    done = run(code, HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="example.org")
    assert done.stdout.split()[-2:] == ["example.org,127.0.0.1,localhost,::1"] * 2, done.stderr


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority that nobody knows, and a server context signed by it."""
    made = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    made.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return file, context


def test_an_authority_of_the_environment_is_trusted(authority, proxy):
    file, context = authority
    with serving(like_llama, called="llama.cpp", context=context) as server:
        code = CLIENTS + "print(got)"
        environment = {"SSL_CERT_FILE": str(file), "HTTPS_PROXY": proxy.url}
        done = run(code, server.url, **environment)
        assert "'openai': 'Paris'" in done.stdout, done.stderr
        assert proxy.asked == []
        done = run(code, server.url)
        assert "is not trusted here; name the file" in done.stderr
        done = run(code, server.url, SSL_CERT_FILE="/nowhere/ca.pem")
        assert "SSL_CERT_FILE or SSL_CERT_DIR names cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("fe80::1", "[fe80::1]"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"),
     ("0:0:0:0:0:0:0:0", "[::1]"), ("localhost", "localhost")],
)  # fmt: skip
def test_hosts_in_addresses(host, expected):
    assert network.url_host(host) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://127.0.0.1:1", True), ("http://127.1.2.3", True), ("http://[::1]:1/v1", True), ("https://localhost", True),
     ("http://a.localhost:1", True), ("http://10.0.0.1", False), ("https://example.org", False), ("http://h", False)],
)  # fmt: skip
def test_loopback(url, expected):
    assert network.is_loopback(url) is expected


@pytest.mark.parametrize(
    ("url", "root"),
    [("http://h:1", "http://h:1"), ("http://h:1/", "http://h:1"), ("http://h:1/v1", "http://h:1"),
     ("http://h:1/v1/", "http://h:1"), ("h:1", "http://h:1"), (" http://h:1\n", "http://h:1"), ("h", "http://h"),
     ("https://h/user/x/proxy/8080/v1", "https://h/user/x/proxy/8080"), ("http://[::1]:1/v1", "http://[::1]:1"),
     ("http://h/v1/llm", "http://h/v1/llm"), ("http://h/apiv1", "http://h/apiv1"), ("http://h/v1?a=1#b", "http://h")],
)  # fmt: skip
def test_roots_of_servers(url, root):
    assert network.server_root(url) == root


@pytest.mark.parametrize(
    "url",
    ["", "http://", "http://[::1", "http://127.0.0.1:80a0", "http://h:99999", "http://a b:1", "ftp://h", None, 8080],
)
def test_slips_in_addresses(url):
    with pytest.raises(SettingsError, match="not the address of a server"):
        network.server_root(url)
