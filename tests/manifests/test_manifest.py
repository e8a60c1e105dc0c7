"""Manifests: valid for three versions of Kubernetes, true to the launcher's settings, without secrets."""

import itertools
import subprocess

import kubernetes_validate
import pytest
import yaml

from courselib.cli.main import main
from courselib.engines.registry import get_engine
from courselib.errors import ModelNotFound, SettingsError
from courselib.manifests import llamacpp, tgi, vllm
from courselib.manifests.cluster import ClusterSettings
from courselib.manifests.explained import said, to_yaml
from courselib.manifests.manifest import ENGINES, manifest
from courselib.manifests.objects import HEALTH
from tests.cli.running import POSIX

VERSIONS = ("1.33", "1.35", "1.37")
LLAMA = {"model": "smollm2-360m", "parallel": 4, "cache_ram": 512}
# Name -> engine, its settings, the cluster's.
CASES = {
    "llama.cpp": ("llama.cpp", {}, {}),
    "llama.cpp on a GPU": ("llama.cpp", {**LLAMA, "gpu_layers": 99, "mlock": True}, {"memory": "2Gi"}),
    "llama.cpp, one pod": ("llama.cpp", {**LLAMA, "metrics": False}, {"max_replicas": 1}),
    "vLLM": ("vllm", {"max_model_len": 4096}, {}),
    "vLLM on two GPUs": ("vllm", {"tensor_parallel_size": 2, "enable_prefix_caching": False}, {"name": "chat"}),
    "vLLM, own folder": ("vllm", {"model": "/data/mine", "served_model_name": ("a", "b")}, {"replicas": 2}),
    "TGI": ("tgi", {"max_total_tokens": 4096, "prefill_chunking": False}, {}),
    "TGI on two GPUs": ("tgi", {"model": "owner/gated", "num_shard": 2, "shm_size": "512m"}, {}),
    "TGI on a CPU": ("tgi", {"image": "ghcr.io/huggingface/text-generation-inference:3.3.7-intel-cpu"}, {}),
}


def made(case):
    engine, settings, cluster = CASES[case]
    return manifest(engine, ClusterSettings(**cluster), **settings)


def container(made):
    return made.object("Deployment")["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(("case", "version"), list(itertools.product(CASES, VERSIONS)))
def test_every_object_is_valid(case, version):
    for each in yaml.safe_load_all(made(case).yaml()):
        assert kubernetes_validate.validate(each, version, strict=True) == version


@pytest.mark.parametrize("case", CASES)
def test_the_text_holds_the_objects_and_a_reason_in_each(case):
    found = made(case)
    assert list(yaml.safe_load_all(found.yaml())) == found.objects
    assert all("# " in found.yaml(each["kind"]) for each in found.objects)
    assert max(map(len, found.yaml("Service").splitlines())) <= 100


def test_the_validator_refuses_what_is_wrong():
    wrong = made("vLLM").object("Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]["prt"] = "http"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("case", CASES)
def test_objects_fit_together(case):
    found = made(case)
    pod = found.object("Deployment")["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    assert labels >= found.object("Service")["spec"]["selector"].items()
    for kind, field in (
        ("Deployment", "selector"),
        ("NetworkPolicy", "podSelector"),
        ("PodDisruptionBudget", "selector"),
    ):
        assert labels >= found.object(kind)["spec"][field]["matchLabels"].items()
    volumes = {each["name"] for each in pod["spec"]["volumes"]}
    for each in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]):
        assert {mount["name"] for mount in each["volumeMounts"]} <= volumes
    claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claim == found.object("PersistentVolumeClaim")["metadata"]["name"]
    ports = {port["name"] for port in container(found)["ports"]}
    assert found.object("Service")["spec"]["ports"][0]["targetPort"] in ports


@pytest.mark.parametrize("case", CASES)
def test_a_scaled_deployment_leaves_the_number_to_the_autoscaler(case):
    _engine, _settings, cluster = CASES[case]
    scales = ClusterSettings(**cluster).scales
    kinds = [each["kind"] for each in made(case).objects]
    assert ("HorizontalPodAutoscaler" in kinds) is scales
    assert ("replicas" in made(case).object("Deployment")["spec"]) is not scales


def test_flags_are_the_launchers():
    args = container(made("llama.cpp on a GPU"))["args"]
    assert args[args.index("--parallel") + 1] == "4"
    assert args[args.index("--threads") + 1] == "4"  # the pod's cores, and not those of this machine
    assert args[args.index("--host") + 1] == "0.0.0.0"
    args = container(made("vLLM on two GPUs"))["args"]
    assert "--no-enable-prefix-caching" in args
    args = container(made("TGI"))["args"]
    assert args[args.index("--max-total-tokens") + 1] == "4096"
    assert {"name": "PREFILL_CHUNKING", "value": "0"} in container(made("TGI"))["env"]


@pytest.mark.parametrize("case", CASES)
def test_every_flag_has_its_reason(case):
    lines = [line.strip() for line in made(case).yaml("Deployment").splitlines()]
    flags = [number for number, line in enumerate(lines) if line.startswith("- --")]
    assert [lines[number] for number in flags if not lines[number - 1].startswith("#")] == []


@pytest.mark.parametrize(
    ("case", "gpus", "shm"),
    [
        ("llama.cpp", None, None),
        ("llama.cpp on a GPU", "1", None),
        ("vLLM", "1", None),
        ("vLLM on two GPUs", "2", "2Gi"),
        ("TGI on two GPUs", "2", "512Mi"),
        ("TGI on a CPU", None, None),
    ],
)
def test_gpus_and_shared_memory(case, gpus, shm):
    pod = made(case).object("Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"].get("nvidia.com/gpu") == gpus
    sizes = [each["emptyDir"]["sizeLimit"] for each in pod["volumes"] if "emptyDir" in each]
    assert sizes == ([shm] if shm else [])


@pytest.mark.parametrize("case", CASES)
def test_probes_wait_as_long_as_the_launcher(case):
    found = made(case)
    asked = container(found)
    probe = asked["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= get_engine(found.container.engine).start_timeout_s
    assert {asked[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")} == {HEALTH}
    patience = [
        asked[name]["periodSeconds"] * asked[name]["failureThreshold"] for name in ("readinessProbe", "livenessProbe")
    ]
    assert patience == sorted(patience)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_key_is_refused_and_not_shown(engine):
    with pytest.raises(SettingsError, match="api_key") as refused:
        manifest(engine, api_key="sk-secret")
    assert "sk-secret" not in str(refused.value)


def test_a_token_is_refused_and_named_in_the_secret():
    with pytest.raises(SettingsError, match="Secret"):
        manifest("tgi", token="hf_secret")
    names = {each["name"] for each in container(made("TGI on two GPUs"))["env"]}
    assert {"API_KEY", "HF_TOKEN"} <= names


@pytest.mark.parametrize("case", CASES)
def test_only_the_secrets_name_is_written(case):
    for each in container(made(case))["env"]:
        if each["name"].endswith(("_KEY", "TOKEN")):
            assert "value" not in each
            assert each["valueFrom"]["secretKeyRef"]["name"] == f"{made(case).name}-key"


@pytest.mark.parametrize(
    ("engine", "settings", "cluster", "words"),
    [
        ("llama.cpp", {"context": 0}, {}, "context is 0"),
        ("llama.cpp", {"ubatch": 4096}, {}, "ubatch is 4096"),
        ("llama.cpp", {"contxt": 5}, {}, "Did you mean 'context'"),
        ("llama.cpp", {"port": 9000}, {}, "port describes the machine"),
        ("llama.cpp", {"metrics": False}, {}, "the autoscaler cannot see the queue"),
        ("llama.cpp", {"threads": 8}, {}, "a pod reserves 4 cores"),
        ("llama.cpp", {}, {"memory": "2Gi"}, "cache_ram is 8192 MiB"),
        ("vllm", {"max_num_seqs": 64, "max_num_batched_tokens": 32}, {}, "max_num_batched_tokens is 32"),
        ("vllm", {"cpus": "0-3"}, {}, "cpus describes the machine"),
        ("tgi", {"max_input_tokens": 9, "max_total_tokens": 8}, {}, "must be <"),
        ("tgi", {"sharded": True}, {}, "set num_shard"),
        ("tgi", {"image": "x:3.3.7-intel-xpu"}, {}, "choose an image without"),
        ("tgi-gateway", {}, {}, "There is no manifest for 'tgi-gateway'"),
        ("vllm", {}, {"memory": "16"}, "memory is '16'"),
        ("vllm", {}, {"replicas": 0}, "replicas is 0"),
        ("vllm", {}, {"replicas": 5}, "max_replicas is 3"),
        ("vllm", {}, {"name": "My_Model"}, "lower-case letters"),
    ],
)
def test_bad_settings_are_refused(engine, settings, cluster, words):
    with pytest.raises(SettingsError, match=words):
        manifest(engine, ClusterSettings(**cluster), **settings)


@pytest.mark.parametrize(
    ("engine", "model"),
    [("llama.cpp", "owner/name"), ("llama.cpp", "/home/me/x.gguf"), ("vllm", "smollm"), ("tgi", "/home/me/x")],
)
def test_a_model_that_a_cluster_cannot_have(engine, model):
    with pytest.raises(ModelNotFound, match="which a cluster cannot fetch"):
        manifest(engine, model=model)


def test_a_kind_that_is_not_there():
    with pytest.raises(SettingsError, match="it has PersistentVolumeClaim"):
        made("vLLM").yaml("Secret")


def test_pinned_images_are_the_versions_that_the_course_runs(pytestconfig):
    pins = (pytestconfig.rootpath / "constraints.txt").read_text()
    assert f".{llamacpp.BUILD.removeprefix('b')}\n" in pins  # xllamacpp is named after the build in it
    assert (
        f"vLLM {vllm.IMAGE.rpartition(':v')[2]},"
        in (pytestconfig.rootpath / "courselib/engines/vllm/engine.py").read_text()
    )
    assert tgi.IMAGE == "ghcr.io/huggingface/text-generation-inference:3.3.7"


@pytest.mark.skipif(not POSIX, reason="the script runs in a Linux container")
@pytest.mark.parametrize(("content", "passes"), [(b"right", True), (b"wrong", False)])
def test_the_script_that_checks_the_weights(content, passes, tmp_path, monkeypatch):
    """As the container would run it, on a small file, with the file's own checksum."""
    import hashlib

    script = manifest("llama.cpp", model="smollm2-360m").container.fetch
    sha = next(each.sha256 for each in llamacpp.CATALOGUE if each.name == "smollm2-360m")
    script = script.replace("/data", str(tmp_path)).replace(sha, hashlib.sha256(b"right").hexdigest())
    file = tmp_path / next(each.file for each in llamacpp.CATALOGUE if each.name == "smollm2-360m")
    file.write_bytes(content)
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, timeout=30)
    assert (done.returncode == 0) is passes, done.stderr
    assert file.exists() is passes  # a wrong file would be in the way for ever


@pytest.mark.skipif(not POSIX, reason="the script runs in a Linux container")
def test_a_download_that_fails_leaves_nothing_behind(tmp_path):
    script = manifest("llama.cpp", model="owner/name:x.gguf").container.fetch
    script = script.replace("/data", str(tmp_path)).replace("curl ", "false ")
    assert subprocess.run(["sh", "-ec", script], timeout=30).returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_comments_stand_above_their_fields():
    tree = {"a": said([1, said({"b": 2}, "of the item")], "of a\n  kept  as it is"), "c": said("x\ny", "of c")}
    assert to_yaml(tree) == ("# of a\n#   kept  as it is\na:\n- 1\n# of the item\n- b: 2\n# of c\nc: |-\n  x\n  y\n")
    assert yaml.safe_load(to_yaml(tree)) == {"a": [1, {"b": 2}], "c": "x\ny"}


def test_the_command(capsys):
    main(
        ["manifest", "vllm", "--max-model-len", "2048", "--name", "chat", "--max-replicas", "1"], standalone_mode=False
    )
    text = capsys.readouterr().out
    assert text == manifest("vllm", ClusterSettings(name="chat", max_replicas=1), max_model_len=2048).yaml()
    assert "never run in a cluster" in " ".join(text.split())
