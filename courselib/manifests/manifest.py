"""An engine's manifest: ``manifest("vllm", model=..., tensor_parallel_size=2)``."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from courselib.engines.launcher import make_settings
from courselib.engines.registry import get_engine
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.manifests import llamacpp, tgi, vllm
from courselib.manifests.cluster import ClusterSettings
from courselib.manifests.container import Container
from courselib.manifests.explained import comment, plain, to_yaml
from courselib.manifests.objects import all_objects


class Writer(NamedTuple):
    """What makes an engine's container, and the engine's settings that it refuses."""

    container: Callable[[Any, ClusterSettings], Container]
    elsewhere: tuple[str, ...]


ENGINES = {
    "llama.cpp": Writer(llamacpp.container, llamacpp.ELSEWHERE),
    "vllm": Writer(vllm.container, vllm.ELSEWHERE),
    "tgi": Writer(tgi.container, tgi.ELSEWHERE),
}


@dataclass(frozen=True)
class Manifest:
    """What ``kubectl apply`` takes.

    Args:
        name: of all objects.
        container: the engine's.
        trees: the objects, with reasons.
    """

    name: str
    container: Container
    trees: list[dict[str, Any]] = field(repr=False)

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The objects as Kubernetes reads them, without the reasons."""
        return [plain(tree) for tree in self.trees]

    def object(self, kind: str) -> dict[str, Any]:
        """The object of that kind, such as ``Deployment``.

        Raises:
            SettingsError: there is none.
        """
        return next(each for each in self.objects if each["kind"] == self._known(kind))

    def yaml(self, kind: str | None = None) -> str:
        """All objects, or the one of a kind, with a comment above each field that has a reason.

        Raises:
            SettingsError: there is none of that kind.
        """
        if kind:
            return next(to_yaml(tree) for tree in self.trees if tree["kind"] == self._known(kind))
        return self._opening() + "".join(f"---\n{to_yaml(tree)}" for tree in self.trees)

    def _known(self, kind: str) -> str:
        kinds = [tree["kind"] for tree in self.trees]
        if kind in kinds:
            return kind
        raise SettingsError(_("This manifest has no {kind}; it has {kinds}.").format(kind=kind, kinds=", ".join(kinds)))

    def _opening(self) -> str:
        lines = [
            _(
                "Written by `courselib manifest {engine}`, and never run in a cluster. To check it on yours without"
                " changing anything: kubectl apply --dry-run=server -f FILE"
            ).format(engine=self.container.engine),
            _("Make the key first. It is then in the cluster, and in no file:"),
            f"  openssl rand -hex 32 | tr -d '\\n' | kubectl create secret generic {self.name}-key"
            " --from-file=api-key=/dev/stdin",
        ]
        if not self.container.downloads:
            lines.append(_("The weights are not downloaded: copy them into the volume before the pods start."))
        return "\n".join(comment("\n".join(lines))) + "\n"


def manifest(engine: str, cluster: ClusterSettings | None = None, **settings: Any) -> Manifest:
    """The Kubernetes objects that serve a model with an engine.

    Args:
        engine: ``"llama.cpp"``, ``"vllm"`` or ``"tgi"``.
        cluster: number of pods and what each of them gets; ``ClusterSettings()`` by default.
        settings: the engine's settings, as ``launch`` takes them.

    Raises:
        SettingsError: the launcher would refuse the settings, or they describe this machine and no pod.
        ModelNotFound: a cluster cannot have the model.
    """
    if engine not in ENGINES:
        near = difflib.get_close_matches(str(engine).lower(), ENGINES, n=1, cutoff=0.5)
        hint = _(" Did you mean {near!r}?").format(near=near[0]) if near else ""
        raise SettingsError(
            _("There is no manifest for {engine!r}; choose one of {names}.").format(
                engine=engine, names=", ".join(ENGINES)
            )
            + hint
        )
    cluster = cluster or ClusterSettings()
    container = ENGINES[engine].container(make_settings(get_engine(engine), settings), cluster)
    name = cluster.name or engine.replace(".", "-")
    return Manifest(name, container, all_objects(container, cluster, name))
