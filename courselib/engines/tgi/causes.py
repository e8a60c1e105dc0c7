"""How TGI, and Docker under it, usually fail: patterns in the log and the sentences for them.

Docker's messages are those of its daemon (moby 28); TGI's those of 3.3.7; the hub's those of huggingface_hub.
"""

from __future__ import annotations

from courselib.engines.base import Cause
from courselib.errors import (
    DownloadFailed,
    EngineDied,
    EngineMissing,
    ModelNotFound,
    OutOfMemory,
    PortTaken,
    SettingsError,
)
from courselib.i18n import N_

CAUSES = (
    Cause(
        r'[Tt]he container name "/?(?P<name>[^"]+)" is already in use',
        SettingsError,
        N_("There is a container {name} already; choose another name, or remove that one: docker rm -f {name}"),
    ),
    Cause(
        r"(Bind for \S+?:(?P<port>\d+) failed: port is already allocated|failed to bind host port)",
        PortTaken,
        N_("The port is in use; stop what listens there, or leave port out for a free one."),
    ),
    Cause(
        r"could not select device driver .*capabilities: \[\[gpu\]\]",
        EngineMissing,
        N_("Docker cannot reach the GPU; install the NVIDIA Container Toolkit, or take TGI's image for CPUs."),
    ),
    Cause(
        r"(Unable to find image|pull access denied|manifest unknown|manifest for .* not found)",
        EngineMissing,
        N_("Docker has no such image; check its name and tag."),
    ),
    Cause(
        r"[Nn]o space left on device",
        DownloadFailed,
        N_("The disk is full; TGI's image and its models take many gigabytes: make room on it."),
    ),
    Cause(
        r"Not enough memory to handle (?P<n>\d+) prefill tokens",
        OutOfMemory,
        N_("There is no memory to read {n} prompt tokens at once; lower max_batch_prefill_tokens."),
    ),
    Cause(
        r"Not enough memory to handle `max_total_tokens=(?P<n>\d+)`",
        OutOfMemory,
        N_("The KV cache has no room for {n} tokens; lower max_total_tokens, or set kv_cache_dtype to an fp8 format."),
    ),
    Cause(
        r"(CUDA out of memory|torch\.OutOfMemoryError|OutOfMemoryError)",
        OutOfMemory,
        N_("The GPU's memory is full; end what else uses it, take a smaller model, or set quantize."),
    ),
    Cause(
        r"(GatedRepoError|[Cc]annot access gated repo|Access to model .* is restricted)",
        ModelNotFound,
        N_("The model is gated; accept its terms on its page, then pass token=…, or sign in with: hf auth login"),
    ),
    Cause(
        r"(RepositoryNotFoundError|Repository Not Found)",
        ModelNotFound,
        N_("There is no such repository on the hub, or it is private; check the name, or sign in with: hf auth login"),
    ),
    Cause(
        r"(Max retries exceeded|Temporary failure in name resolution|LocalEntryNotFoundError|ConnectError)",
        DownloadFailed,
        N_("TGI cannot reach the hub; check the network, or give a model's folder on this machine."),
    ),
    Cause(
        r"(Invalid argument|Argument validation error): (?P<words>[^\n]*[^\n.])",
        SettingsError,
        N_("TGI refuses a setting ({words}); change the setting that the message names."),
    ),
    Cause(
        r"error: (?P<words>(invalid value|unexpected argument)[^\n]+)",
        EngineDied,
        N_("The launcher refuses an argument ({words}); it may be older or newer than this course expects."),
    ),
    Cause(
        r"failed to build prometheus recorder",
        PortTaken,
        N_("TGI takes a second port, prometheus_port, and that one is in use; give another."),
    ),
    Cause(
        r"(Shard cannot start|ShardCannotStart)",
        EngineDied,
        N_("TGI could not load the model; the log in the details shows why."),
    ),
)
