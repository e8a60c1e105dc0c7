"""``llama-server``, run from the prebuilt ``xllamacpp`` wheel under llama-server's own flags.

    python -m courselib.engines.llamacpp.program --model MODEL.gguf --port 8080

The subset of flags that the course teaches, spelled as llama.cpp spells them. As with llama-server, the key may come
from the environment (``LLAMA_API_KEY``). Imported by nobody: it is the main program of a process of its own, because
a crash of the engine must not take a notebook's kernel with it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading

from courselib.engines.llamacpp.values import CACHE_RAM_MIB, CACHE_TYPES

FLASH_ATTN = {"auto": "AUTO", "off": "DISABLED", "on": "ENABLED"}
HIGHEST_PORT = 65535
STOPS = {signal.SIGINT, signal.SIGTERM}
LOAD_MODE = {"none": "NONE", "mmap": "MMAP", "mlock": "MLOCK", "mmap+mlock": "MMAP_MLOCK", "dio": "DIRECT_IO"}


def port_number(text: str) -> int:
    """A port from a command line; llama.cpp itself would listen on none beyond the highest, and say nothing."""
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= number <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port; give a number up to {HIGHEST_PORT}, or 0 for a free one"
        )
    return number


def parser() -> argparse.ArgumentParser:
    """llama-server's flags, as far as the course teaches them."""
    flags = argparse.ArgumentParser(
        prog="courselib llama-server",
        description="llama.cpp's server from the prebuilt xllamacpp wheel, with llama-server's flags.",
        allow_abbrev=False,
    )
    add = flags.add_argument
    add("-m", "--model", required=True, help="a GGUF file")
    add("-a", "--alias", help="the name under which the model is served")
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--port", type=port_number, default=8080, help="port to listen on (default: 8080)")
    add("--api-key", default=os.environ.get("LLAMA_API_KEY"), help="key that clients must send (env: LLAMA_API_KEY)")
    add("-c", "--ctx-size", type=int, default=0, help="tokens of context, shared by all slots (default: the model's)")
    add("-np", "--parallel", type=int, default=1, help="slots, requests served at once (default: 1)")
    add("-kvu", "--kv-unified", action="store_true", help="one KV cache shared by all slots instead of equal parts")
    add("-t", "--threads", type=int, default=-1, help="CPU threads (default: all cores)")
    add("-b", "--batch-size", type=int, default=2048, help="tokens submitted at once (default: 2048)")
    add("-ub", "--ubatch-size", type=int, default=512, help="tokens computed at once (default: 512)")
    add("-ngl", "--gpu-layers", "--n-gpu-layers", type=int, default=-1, help="layers on the GPU (default: what fits)")
    add("--load-mode", choices=LOAD_MODE, help="how the weights get into memory")
    batching = flags.add_mutually_exclusive_group()
    batching.add_argument("-cb", "--cont-batching", action="store_true", help="continuous batching, the default")
    batching.add_argument("-nocb", "--no-cont-batching", action="store_true", help="no continuous batching")
    for short, name, what in (("-ctk", "--cache-type-k", "keys"), ("-ctv", "--cache-type-v", "values")):
        text = f"number format of the {what} in the KV cache (default: f16)"
        add(short, name, choices=CACHE_TYPES, default="f16", help=text)
    text = f"MiB of RAM for the prompts of earlier requests (default: {CACHE_RAM_MIB})"
    add("-cram", "--cache-ram", type=int, default=CACHE_RAM_MIB, help=text)
    add("-fa", "--flash-attn", choices=FLASH_ATTN, default="auto", help="FlashAttention (default: auto)")
    add("--metrics", action="store_true", help="serve /metrics for Prometheus")
    add("--cors-origins", default="*", help="web origins that may call (default: any; 'localhost' closes it)")
    add("-lv", "--log-verbosity", type=int, default=3, help="how much is logged; sizes from 4 on (default: 3)")
    return flags


def start(options: argparse.Namespace) -> object:
    """Start the server in threads of this process.

    Returns:
        The server; it stops when the object goes.

    Raises:
        RuntimeError: it could not start; the reason is on standard error.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    if options.alias:
        params.model_alias = {options.alias}
    params.hostnames = [options.host]
    params.port = options.port
    params.api_keys = [options.api_key] if options.api_key else []
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    params.kv_unified = options.kv_unified
    params.cpuparams.n_threads = options.threads
    params.n_batch = options.batch_size
    params.n_ubatch = options.ubatch_size
    params.n_gpu_layers = options.gpu_layers
    if options.load_mode:
        params.load_mode = getattr(xllamacpp.llama_load_mode, f"LLAMA_LOAD_MODE_{LOAD_MODE[options.load_mode]}")
    params.cont_batching = not options.no_cont_batching
    params.cache_type_k = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{options.cache_type_k.upper()}")
    params.cache_type_v = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{options.cache_type_v.upper()}")
    params.cache_ram_mib = options.cache_ram
    flash = f"LLAMA_FLASH_ATTN_TYPE_{FLASH_ATTN[options.flash_attn]}"
    params.flash_attn_type = getattr(xllamacpp.llama_flash_attn_type, flash)
    params.endpoint_metrics = options.metrics
    params.cors_origins = options.cors_origins
    params.cors_origins_explicit = options.cors_origins != "*"
    params.verbosity = options.log_verbosity
    return xllamacpp.Server(params)


def wait_for_stop(failed: threading.Event) -> None:
    """Wait for the signals INT or TERM, which a failure sends, too."""
    if hasattr(signal, "sigwait"):
        signal.sigwait(STOPS)
        return
    with contextlib.suppress(KeyboardInterrupt):  # Windows
        failed.wait()


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped.

    Returns:
        1 if the server could not start. A stop ends the process here, with 0: llama.cpp (b11549), stopped in the moment
        in which its loop begins, waits for the loop's end for good, and nothing is left to be saved.
    """
    options = parser().parse_args(arguments)
    if hasattr(signal, "pthread_sigmask"):
        # Kept from every thread, they wait for ``sigwait``. As it begins to serve, llama.cpp puts handlers of its own
        # in place of Python's, and those lose a stop.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    servers, failed = [], threading.Event()

    def serve() -> None:
        try:
            servers.append(start(options))
        except RuntimeError as error:
            print(error, file=sys.stderr)
        finally:
            if not servers:
                failed.set()
                os.kill(os.getpid(), signal.SIGTERM)

    # In a thread of its own, so that a stop also ends the loading of a model.
    threading.Thread(target=serve, daemon=True).start()
    wait_for_stop(failed)
    if failed.is_set():
        return 1  # an ordinary end, at which llama.cpp writes the rest of its log
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
