"""What TGI needs of Docker: is it there, is the image, is the name free; and the ``docker run`` itself.

Docker's own command answers and runs, because it is what a person would type, and because it finds the daemon in all
the ways that one may be set up. The ``docker`` package fetches the image: only it tells how many bytes have come.
"""

from __future__ import annotations

import csv
import io
import ipaddress
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from courselib.engines.tgi.values import CPU_IMAGE, IMAGE
from courselib.errors import DownloadFailed, EngineMissing, SettingsError
from courselib.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterable

    from courselib.engines.tgi.settings import TgiSettings

ASK_TIMEOUT_S = 30
INSIDE_PORT = 80
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def check_docker() -> None:
    """Make sure that containers can be run here.

    Raises:
        EngineMissing: Docker is not installed, does not run, or does not let us in; says which.
    """
    if not shutil.which("docker"):
        raise EngineMissing(_("TGI runs in Docker, and Docker is not installed.") + other_ways())
    done = _ask("version", "--format", "{{.Server.Version}}")
    if done.returncode == 0:
        _check_processor()
        return
    if "permission denied" in done.stderr:
        sentence = _(
            "Docker is installed and running, but this user may not use it: sudo usermod -aG docker $USER, sign in"
            " again."
        )
    else:
        sentence = _("Docker is installed but not running: start it (Docker Desktop, or sudo systemctl start docker).")
    raise EngineMissing(sentence + other_ways(), details=done.stderr)


def _check_processor() -> None:
    if platform.machine().lower() in ("arm64", "aarch64"):
        raise EngineMissing(
            _("TGI's images are made for x86-64 processors only, and this one is {machine}.").format(
                machine=platform.machine()
            )
            + other_ways()
        )


def other_ways() -> str:
    """How to go on without Docker."""
    return _(
        " Or put a text-generation-launcher on the PATH; or take courselib.launch('tgi-gateway'), which speaks TGI's"
        " protocol in front of llama.cpp."
    )


def _ask(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(
            command, 1, "", _("no answer within {seconds} s").format(seconds=ASK_TIMEOUT_S)
        )


def check_name(name: str) -> None:
    """Make sure that no container has this name.

    Raises:
        SettingsError: one has, or it is none that Docker takes.
    """
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name):
        raise SettingsError(
            _("container is {name!r}; Docker takes at least two characters: letters, digits, '_', '.' and '-'.").format(
                name=name
            )
        )
    if _ask("container", "inspect", name).returncode == 0:
        raise SettingsError(
            _(
                "There is a container {name} already; choose another name, or remove that one: docker rm -f {name}"
            ).format(name=name)
        )


def make_volume(volume: str) -> None:
    """Make the folder that keeps the models, if it is one and not there yet: Docker mounts none that is missing.

    Raises:
        SettingsError: it cannot be made.
    """
    if (folder := volume_folder(volume)) is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                _("volume is {volume!r}, a folder that cannot be made: {reason}. Choose another one.").format(
                    volume=volume, reason=error.strerror or error
                )
            ) from None


def ensure_image(image: str) -> None:
    """Fetch the image if it is not here, showing how much has come.

    Raises:
        EngineMissing: there is no such image, or the package that fetches it is not installed.
        DownloadFailed: it cannot be fetched.
    """
    if _ask("image", "inspect", "--format", "{{.Id}}", image).returncode == 0:
        return
    try:
        import docker
    except ImportError:
        raise EngineMissing(
            _("TGI's image is not on this machine; fetch it with: docker pull {image}").format(image=image)
            + _(" Or let the course do it: pip install 'courselib[tgi]'")
        ) from None
    try:
        client = docker.from_env(use_ssh_client=True)
        _show_pull(client.api.pull(image, stream=True, decode=True), image)
    except docker.errors.NotFound as error:
        raise EngineMissing(
            _("There is no image {image}; check its name and tag.").format(image=image), details=str(error)
        ) from None
    except (docker.errors.DockerException, OSError) as error:
        raise DownloadFailed(
            _("The image {image} could not be fetched; check network and disk space, and try again.").format(
                image=image
            ),
            details=str(error),
        ) from None


def _show_pull(events: Iterable[dict[str, Any]], image: str) -> None:
    """A bar over the bytes of all layers that are known so far."""
    import docker
    from tqdm.auto import tqdm

    layers: dict[str, tuple[int, int]] = {}
    with tqdm(unit="B", unit_scale=True, unit_divisor=1024, desc=image.rpartition("/")[2]) as bar:
        for event in events:
            if "error" in event:
                raise docker.errors.DockerException(event["error"])
            progress = event.get("progressDetail") or {}
            if event.get("status") == "Downloading" and progress.get("total"):
                layers[event["id"]] = (progress["current"], progress["total"])
            elif event.get("status") == "Download complete" and event.get("id") in layers:
                total = layers[event["id"]][1]
                layers[event["id"]] = (total, total)
            bar.total = sum(total for _current, total in layers.values()) or None
            bar.update(sum(current for current, _total in layers.values()) - bar.n)


def published_host(host: str) -> str:
    """The address that Docker is to listen on; it takes no names.

    Raises:
        SettingsError: it is none.
    """
    address = {"localhost": "127.0.0.1"}.get(host, host)
    try:
        return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    except ValueError:
        raise SettingsError(
            _("host is {host!r}; Docker needs an address in digits, such as 127.0.0.1.").format(host=host)
        ) from None


def run_words(settings: TgiSettings, *, port: int) -> list[str]:
    """``docker run`` up to the image; keys and tokens are named here and taken from the environment."""
    words = ["docker", "run", "--rm", "--name", settings.container or f"courselib-tgi-{port}"]
    if settings.gpus not in (None, "none", "auto"):
        words += ["--gpus", settings.gpus]
    words += ["--shm-size", settings.shm_size]
    words += ["--publish", f"{published_host(settings.host)}:{port}:{INSIDE_PORT}"]
    kept = volume_folder(settings.volume)
    words += ["--volume", f"{settings.volume}:/data"] if kept is None else _mount(kept, "/data")
    if (folder := settings.model_folder) is not None:
        words += _mount(folder, inside_path(folder), "readonly")
    image = settings.image or IMAGE
    if CPU_IMAGE in image:
        # The CPU image keeps models one level higher than the others, which would fetch them a second time.
        words += ["--env", "HUGGINGFACE_HUB_CACHE=/data/hub"]
    words += ["--env", "API_KEY"]
    if settings.token:
        words += ["--env", "HF_TOKEN"]
    if not settings.prefill_chunking:
        words += ["--env", "PREFILL_CHUNKING=0"]
    return [*words, image]


def volume_folder(volume: str) -> Path | None:
    """The folder that is meant; ``None`` for the name of a volume of Docker's."""
    return Path(volume).expanduser().absolute() if re.match(r"[~.]|.*[/\\]", volume) else None


def _mount(folder: Path, inside: str, *more: str) -> list[str]:
    """A folder of this machine in the container, whatever its path holds: ``--volume`` would split it at a colon.

    ``--mount`` takes a line of CSV, in which a comma or a quotation mark can be quoted.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["type=bind", f"source={folder}", f"target={inside}", *more])
    return ["--mount", line.getvalue()]


def inside_path(folder: Path) -> str:
    """Where a model's folder is seen inside the container."""
    return f"/models/{folder.name}"


def container_bytes(name: str) -> int:
    """Resident memory of a container in bytes, as Docker counts it; 0 if it does not tell."""
    done = _ask("stats", "--no-stream", "--format", "{{.MemUsage}}", name)
    found = re.match(r"([\d.]+)([KMGT]?i?B)", done.stdout)
    return round(float(found[1]) * UNITS.get(found[2], 1)) if found else 0
