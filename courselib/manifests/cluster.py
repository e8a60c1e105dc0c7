"""What a manifest has besides the engine's settings: how many pods, and what each of them gets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from courselib.checks import check_whole
from courselib.errors import SettingsError
from courselib.i18n import _

UNITS = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
# Of a name, the longest suffix that the objects add is "-weights"; Kubernetes allows 63 characters.
LONGEST_NAME = 50


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Settings of the cluster's part.

    Args:
        name: the name of all objects: lower-case letters, digits and '-'; None takes the engine's.
        replicas: minimum of pods.
        max_replicas: maximum of pods; an autoscaler is written if it is above replicas.
        waiting: waiting requests for each pod, above which the autoscaler adds one.
        cores: CPU cores that a pod reserves.
        memory: RAM that a pod reserves, and may not exceed, such as 16Gi.
        storage: size of the volume that keeps the weights, such as 20Gi.
        start_s: seconds that a start may take; None takes the launcher's own limit for the engine.
        answer_s: seconds that a pod goes on to answer before it is stopped.
        monitoring: the namespace in which Prometheus runs.
    """

    name: str | None = None
    replicas: int = 1
    max_replicas: int = 3
    waiting: int = 4
    cores: int = 4
    memory: str = "16Gi"
    storage: str = "20Gi"
    start_s: int | None = None
    answer_s: int = 60
    monitoring: str = "monitoring"

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            SettingsError: a value of the wrong type, or out of range.
        """
        for name in ("replicas", "max_replicas", "waiting", "cores", "answer_s"):
            check_whole(name, getattr(self, name), 1)
        if self.start_s is not None:
            check_whole("start_s", self.start_s, 1)
        if self.max_replicas < self.replicas:
            raise SettingsError(
                _("max_replicas is {high}, less than replicas ({low}); raise max_replicas, or lower replicas.").format(
                    high=self.max_replicas, low=self.replicas
                )
            )
        for name in ("memory", "storage"):
            as_bytes(name, getattr(self, name))
        for name in ("name", "monitoring"):
            if getattr(self, name) is not None:
                _check_label(name, getattr(self, name))

    @property
    def scales(self) -> bool:
        """Whether there is an autoscaler."""
        return self.max_replicas > self.replicas

    @property
    def shares(self) -> bool:
        """Whether several pods can run at once, which then share the volume."""
        return self.max_replicas > 1


def as_bytes(name: str, quantity: object) -> int:
    """A quantity of Kubernetes in bytes.

    Raises:
        SettingsError: it is none that is understood here.
    """
    found = re.fullmatch(r"([1-9]\d*)(Mi|Gi|Ti)", str(quantity))
    if not found:
        raise SettingsError(
            _("{name} is {value!r}; give a whole number and a unit, Mi, Gi or Ti, such as '16Gi'.").format(
                name=name, value=quantity
            )
        )
    return int(found[1]) * UNITS[found[2]]


def _check_label(name: str, value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch(rf"[a-z]([a-z0-9-]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?", value):
        raise SettingsError(
            _(
                "{name} is {value!r}; Kubernetes takes lower-case letters, digits and '-', a letter first, at most"
                " {longest} characters."
            ).format(name=name, value=value, longest=LONGEST_NAME)
        )
