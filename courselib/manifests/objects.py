"""A container as Kubernetes' objects, each field with the reason for it. Pure: dictionaries in, dictionaries out."""

from __future__ import annotations

import math
from typing import Any

from courselib.i18n import _
from courselib.manifests.cluster import ClusterSettings
from courselib.manifests.container import DATA, PORT, Container, explained_arguments
from courselib.manifests.explained import said

HEALTH = "/health"
STARTUP_PERIOD_S = 10
# What is left after the last answer, for a server that does not end on TERM.
LAST_SECONDS = 15
PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"]
Tree = dict[str, Any]


def all_objects(box: Container, cluster: ClusterSettings, name: str) -> list[Tree]:
    """The objects, in the order in which a person would make them."""
    objects = [volume(cluster, name), deployment(box, cluster, name), service(name), policy(box, cluster, name)]
    if cluster.scales:
        objects.append(autoscaler(box, cluster, name))
    return [*objects, disruption_budget(name)]


def _head(version: str, kind: str, name: str, why: str, suffix: str = "") -> Tree:
    metadata = {"name": name + suffix, "labels": {"app.kubernetes.io/name": name}}
    return {"apiVersion": said(version, why), "kind": kind, "metadata": metadata}


def _pods(name: str) -> Tree:
    return {"matchLabels": {"app.kubernetes.io/name": name}}


def volume(cluster: ClusterSettings, name: str) -> Tree:
    """The claim of a volume for the weights."""
    if cluster.shares:
        mode = "ReadWriteMany"
        why = _(
            "Pods on several machines share the weights. The storage class must offer this (NFS, CephFS and the like)."
        )
    else:
        mode, why = "ReadWriteOnce", _("One pod at a time has the weights, since max_replicas is 1.")
    head = _("The weights outlive a pod, so that a new one does not download them again.")
    return {
        **_head("v1", "PersistentVolumeClaim", name, head, "-weights"),
        "spec": {
            "accessModes": said([mode], why),
            "resources": {"requests": {"storage": said(cluster.storage, _("storage: size of the volume."))}},
        },
    }


def deployment(box: Container, cluster: ClusterSettings, name: str) -> Tree:
    """The Deployment: pods that all run the same container."""
    head = _("{engine} in pods that are started anew when they end.").format(engine=box.engine)
    spec: Tree = {"selector": _pods(name), "strategy": _strategy(cluster)}
    if not cluster.scales:
        spec = {"replicas": said(cluster.replicas, _("replicas: number of pods.")), **spec}
    template = {"metadata": {"labels": {"app.kubernetes.io/name": name}}, "spec": _pod(box, cluster, name)}
    return {**_head("apps/v1", "Deployment", name, head), "spec": {**spec, "template": template}}


def _strategy(cluster: ClusterSettings) -> Any:
    if not cluster.shares:
        return said({"type": "Recreate"}, _("The old pod must give the volume back before the new one starts."))
    return said(
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        _("An update starts a new pod first, and stops an old one when the new one is ready. It needs the room, and the"
          " GPUs, of one pod more."),
    )  # fmt: skip


def _pod(box: Container, cluster: ClusterSettings, name: str) -> Tree:
    claim = {"persistentVolumeClaim": {"claimName": f"{name}-weights"}}
    volumes: list[Any] = [{"name": "weights", **claim}]
    if box.shm:
        why = _("Files in memory, in which the processes of several GPUs exchange data. Counts as the pod's memory.")
        volumes.append({"name": "shm", "emptyDir": said({"medium": "Memory", "sizeLimit": box.shm}, why)})
    pod: Tree = {
        "enableServiceLinks": said(
            False,
            _("Otherwise Kubernetes sets variables named after each Service in the namespace, such as VLLM_PORT for one"
              " named vllm, which the engine would read as its own settings."),
        ),
        "automountServiceAccountToken": said(False, _("The engine never calls Kubernetes, so it gets no key to it.")),
        "terminationGracePeriodSeconds": said(
            cluster.answer_s + LAST_SECONDS,
            _("answer_s, and {last} s more; then the container is killed.").format(last=LAST_SECONDS),
        ),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    }  # fmt: skip
    if box.fetch:
        pod["initContainers"] = said(
            [_fetching(box)], _("Ends before the engine starts. Then the file is in the volume, and is the right one.")
        )
    return {**pod, "containers": [_engine(box, cluster, name)], "volumes": volumes}


def _fetching(box: Container) -> Tree:
    return {
        "name": "weights",
        "image": said(box.image, _("The engine's own image has all that is needed: sh, curl and sha256sum.")),
        "command": ["sh", "-ec", box.fetch],
        "resources": {"requests": {"cpu": "1", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": _confined(()),
        "volumeMounts": [{"name": "weights", "mountPath": DATA}],
    }


def _confined(capabilities: tuple[str, ...]) -> Tree:
    kept = {"add": said(list(capabilities), _("For mlock."))} if capabilities else {}
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], **kept}}


def _engine(box: Container, cluster: ClusterSettings, name: str) -> Tree:
    mounts = [{"name": "weights", "mountPath": DATA}]
    if box.shm:
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108 - in the container
    made: Tree = {
        "name": "engine",
        "image": said(box.image, _("A fixed tag: 'latest' would be another program after the next start.")),
    }
    if box.command:
        made["command"] = box.command
    return {
        **made,
        "args": explained_arguments(box),
        "env": _environment(box, name),
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": _resources(box, cluster),
        **probes(box, cluster),
        "lifecycle": said(
            {"preStop": {"sleep": {"seconds": cluster.answer_s}}},
            _("answer_s: a pod that is to stop gets no new requests, and this time to finish the old ones; only then is"
              " it asked to end. llama.cpp breaks streams off when it is asked, and vLLM can wait for ever."),
        ),
        "securityContext": _confined(box.capabilities),
        "volumeMounts": mounts,
    }  # fmt: skip


def _environment(box: Container, name: str) -> list[Any]:
    why = _("The key comes from a Secret, which is not in this file, and is in no command line.")
    key = {"name": box.key, "valueFrom": {"secretKeyRef": {"name": f"{name}-key", "key": "api-key"}}}
    secrets: list[Any] = [said(key, why)]
    if box.token:
        token = {"name": f"{name}-key", "key": "hf-token", "optional": True}
        why = _("For a model that the hub gives only to those who have signed in; may be missing.")
        secrets.append(said({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}}, why))
    return [*secrets, *({"name": key, "value": value} for key, value in box.variables.items())]


def _resources(box: Container, cluster: ClusterSettings) -> Tree:
    limits: Tree = {
        "memory": said(
            cluster.memory, _("The system ends a container that takes more. A limit of CPU would stall all threads.")
        )
    }
    if box.gpus:
        why = _("GPUs of this container alone; the machine needs the maker's device plugin.")
        limits[box.gpu] = said(str(box.gpus), why)
    requests = {"cpu": said(str(cluster.cores), _("cores: reserved for this pod.")), "memory": cluster.memory}
    return {"requests": requests, "limits": limits}


def probes(box: Container, cluster: ClusterSettings) -> Tree:
    """What Kubernetes asks a container, and how often."""
    asked = {"path": HEALTH, "port": "http"}
    limit_s = cluster.start_s or box.start_s
    return {
        "startupProbe": said(
            {
                "httpGet": asked,
                "periodSeconds": STARTUP_PERIOD_S,
                "failureThreshold": math.ceil(limit_s / STARTUP_PERIOD_S),
            },
            _("start_s: the container may take {seconds:.0f} s to load. Until this probe has passed, the others do not"
              " run; if it never passes, the container is started anew.").format(seconds=limit_s),
        ),
        "readinessProbe": said(
            {"httpGet": asked, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 2},
            _("While it fails, the Service sends no requests to this pod. The route needs no key."),
        ),
        "livenessProbe": said(
            {"httpGet": asked, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
            _("If it fails for a minute, the container is started anew, and the answers under way are lost. So it is"
              " more patient than readiness."),
        ),
    }  # fmt: skip


def service(name: str) -> Tree:
    """One address for all pods that are ready."""
    head = _("One name and address for all pods that are ready.")
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        **_head("v1", "Service", name, head),
        "spec": {
            "type": said("ClusterIP", _("Inside the cluster only; TLS and the outside are the task of a gateway.")),
            "selector": said({"app.kubernetes.io/name": name}, _("The label of the pods above.")),
            "ports": ports,
        },
    }


def policy(box: Container, cluster: ClusterSettings, name: str) -> Tree:
    """Who may reach the pods, and what they may reach."""
    head = _("Who may connect to the pods, and where they may connect. The cluster's network must enforce it.")
    port = [{"port": "http", "protocol": "TCP"}]
    clients = {"podSelector": {"matchLabels": {f"{name}-client": "true"}}}
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": cluster.monitoring}}
    metrics = _("monitoring: Prometheus, which reads /metrics.")
    if box.metrics_need_key:
        metrics += _(" It has to send the key: {engine} refuses /metrics without it.").format(engine=box.engine)
    ingress = [
        said({"from": [clients], "ports": port}, _("Pods with the label {name}-client.").format(name=name)),
        said({"from": [{"namespaceSelector": namespace}], "ports": port}, metrics),
    ]
    return {
        **_head("networking.k8s.io/v1", "NetworkPolicy", name, head),
        "spec": {
            "podSelector": _pods(name),
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": _outwards(box),
        },
    }


def _outwards(box: Container) -> Any:
    if not box.downloads:
        return said([], _("Nothing: the weights are in the volume."))
    dns = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    hub = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE}}], "ports": [{"port": 443, "protocol": "TCP"}]}
    why = _("HTTPS to the internet, for the weights; not to other machines of the cluster, nor to the cloud's address"
            " that gives out credentials (169.254.169.254).")  # fmt: skip
    return [said(dns, _("DNS, which turns names into addresses.")), said(hub, why)]


def metric_name(box: Container) -> str:
    """The queue's series as the autoscaler asks for it."""
    return box.queue.replace(":", "_")


def adapter_rule(box: Container) -> str:
    """The rule by which prometheus-adapter makes a metric of pods from the queue's series."""
    return f"""  - seriesQuery: '{box.queue}{{namespace!="",pod!=""}}'
    resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
    name: {{as: {metric_name(box)}}}
    metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)"""


def autoscaler(box: Container, cluster: ClusterSettings, name: str) -> Tree:
    """More pods while requests wait."""
    head = _("As many pods as the queue needs.")
    why = _("Kubernetes does not know this metric by itself: Prometheus reads {series} from the pods, and"
            " prometheus-adapter offers it to Kubernetes. The adapter's rule:").format(series=box.queue)  # fmt: skip
    why = f"{why}\n{adapter_rule(box)}"
    target = {"type": "AverageValue", "averageValue": said(str(cluster.waiting), _("waiting: requests for each pod."))}
    metric = {"type": "Pods", "pods": {"metric": {"name": metric_name(box)}, "target": target}}
    return {
        **_head("autoscaling/v2", "HorizontalPodAutoscaler", name, head),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": said(cluster.replicas, _("replicas: there is always one that is loaded.")),
            "maxReplicas": said(cluster.max_replicas, _("max_replicas: limits the cost, and the number of GPUs.")),
            "metrics": said([metric], why),
            "behavior": {
                "scaleDown": {
                    "stabilizationWindowSeconds": said(
                        600, _("A pod that is loaded is worth keeping: one is taken away when ten minutes were quiet.")
                    )
                }
            },
        },
    }


def disruption_budget(name: str) -> Tree:
    """How many pods may be taken away when machines are emptied."""
    head = _("When machines are emptied for maintenance, the pods move one after the other.")
    return {
        **_head("policy/v1", "PodDisruptionBudget", name, head),
        "spec": {
            "maxUnavailable": said(
                1, _("minAvailable: 1 would block the maintenance for ever if there is a single pod.")
            ),
            "selector": _pods(name),
        },
    }
