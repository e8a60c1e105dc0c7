"""How vLLM usually fails: patterns in its log and the sentences for them (vLLM 0.32, recorded)."""

from __future__ import annotations

from courselib.engines.base import Cause
from courselib.errors import (
    EngineDied,
    EngineMissing,
    ModelCorrupt,
    ModelNotFound,
    OutOfMemory,
    PortTaken,
    SettingsError,
)
from courselib.i18n import N_

CAUSES = (
    Cause(
        r"\[Errno 98\] (error while attempting to bind|Address already in use)|Address already in use",
        PortTaken,
        N_("The port is in use; stop what listens there, or leave port out for a free one."),
    ),
    Cause(
        r"No common block size for (?P<size>\d+)",
        SettingsError,
        N_("vLLM's attention takes no block_size of {size} here; leave it out, or choose 32, 64 or 128."),
    ),
    Cause(
        r"To serve at least one request with the model's max seq len \((?P<length>\d+)\)",
        OutOfMemory,
        N_("The KV cache is too small for one request of {length} tokens; raise it, or lower max_model_len."),
    ),
    Cause(
        r"No available memory for the cache blocks|is less than desired (?:CPU|GPU) memory utilization"
        r"|is less than requested memory for kv",
        OutOfMemory,
        N_("Too little memory is free for the KV cache; lower kv_cache_memory, or stop other programs."),
    ),
    Cause(
        r"CUDA out of memory|OutOfMemoryError|DefaultCPUAllocator: can't allocate memory",
        OutOfMemory,
        N_("Memory ran out; lower kv_cache_memory, max_num_batched_tokens or max_num_seqs."),
    ),
    Cause(
        r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived max_model_len"
        r" \([^=]*=(?P<longest>\d+)",
        SettingsError,
        N_("max_model_len is {asked}, but this model was trained for {longest} tokens; choose at most that."),
    ),
    Cause(
        r"(?P<words>max_num_batched_tokens \(\d+\) (?:is smaller than|must be greater than)[^.]*)",
        SettingsError,
        N_("vLLM reports: {words}; raise max_num_batched_tokens."),
    ),
    Cause(
        r"Bfloat16 is only supported on GPUs",
        SettingsError,
        N_("This GPU cannot compute in bfloat16; choose dtype='float16'."),
    ),
    Cause(
        r"Model architectures (?P<names>\[[^\]]*\]) (?:are not supported|failed to be inspected)",
        EngineDied,
        N_("This vLLM does not know the architecture {names}; use a newer vLLM or another model."),
    ),
    Cause(
        r"model type `(?P<name>[^`]+)` but Transformers does not recognize this architecture",
        EngineDied,
        N_("This vLLM does not know the model type {name}; use a newer vLLM or another model."),
    ),
    Cause(
        r"SafetensorError|incomplete metadata, file not fully covered|HeaderTooLarge|InvalidHeader",
        ModelCorrupt,
        N_("A file of the model's weights is damaged or cut short; download it, or have it made, again."),
    ),
    Cause(
        r"Couldn't instantiate the backend tokenizer",
        ModelNotFound,
        N_("The model's folder holds no tokenizer that vLLM can read (tokenizer.json); download it again."),
    ),
    Cause(
        r"Not enough allowed NUMA nodes to bind threads of (?P<n>\d+)",
        SettingsError,
        N_("tensor_parallel_size is {n}, and on a CPU each part needs a NUMA node of its own; lower it."),
    ),
    Cause(
        r"Cannot find any model weights|No safetensors.* found|no .*weights.* found",
        ModelNotFound,
        N_("The model's folder holds no weights (*.safetensors); download it again."),
    ),
    Cause(
        r"HFValidationError|LocalEntryNotFoundError|OfflineModeIsEnabled",
        ModelNotFound,
        N_("vLLM finds no model of that name on this machine; check the name, or give the path of its folder."),
    ),
    Cause(
        r"Failed to infer device type",
        EngineMissing,
        N_("vLLM finds nothing to run on; install the build for this machine with: courselib install vllm"),
    ),
    Cause(
        r"PackageNotFoundError: No package metadata was found for vllm",
        EngineMissing,
        N_("This vLLM is not installed under the name that `vllm serve` asks for; use: courselib install vllm"),
    ),
    Cause(
        r"operator torchvision::nms does not exist|libcudart|libtorch_cuda",
        EngineMissing,
        N_("A package of vLLM's environment is built for another device; make it anew: courselib install vllm"),
    ),
    Cause(
        r"error: (?P<words>(?:unrecognized arguments|argument|invalid).*)",
        EngineDied,
        N_("vllm serve refuses an argument ({words}); it may be older or newer than this course expects."),
    ),
    # The last two: vLLM's processes say so whatever the cause was, so what is said above comes first.
    Cause(
        r"Failed core proc\(s\): \{[^}]*: -9\b|died unexpectedly \(exit code: -9\)",
        OutOfMemory,
        N_(
            "A process of vLLM was killed, most likely by the operating system because memory ran out: {limit}; lower"
            " kv_cache_memory, use a smaller model, or stop other programs."
        ),
    ),
    Cause(
        r"Engine core initialization failed|WorkerProc initialization failed",
        EngineDied,
        N_(
            "vLLM's engine could not start, and its log names no cause that this course knows; read the log in the"
            " details. Perhaps memory ran out ({limit}): then lower kv_cache_memory, or use a smaller model."
        ),
    ),
)
