"""The gateway's program; its flags are those of TGI's launcher.

    python -m courselib.gateway --model-id MODEL.gguf --port 3000

As with TGI, the key may come from the environment (``API_KEY``).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time

from courselib.gateway import llama_process
from courselib.gateway.limits import Backend, Limits

# How long the gateway tells that its engine has ended, before it ends itself.
LAST_WORDS_S = 1.0


def parser() -> argparse.ArgumentParser:
    """TGI's flags, as far as they mean something here."""
    flags = argparse.ArgumentParser(
        prog="python -m courselib.gateway", description="TGI's HTTP protocol, llama.cpp's engine.", allow_abbrev=False
    )
    add = flags.add_argument
    add("--model-id", required=True, help="a GGUF file")
    add("--served-model-name", help="the name under which the model is served (not a flag of TGI)")
    add("--hostname", default="127.0.0.1", help="address to listen on (default: 127.0.0.1; TGI's is 0.0.0.0)")
    add("--port", type=int, default=3000, help="port to listen on (default: 3000)")
    add("--api-key", default=os.environ.get("API_KEY", ""), help="key that clients must send (env: API_KEY)")
    add("--max-total-tokens", type=int, default=4096, help="tokens of prompt and answer together")
    add("--max-input-tokens", type=int, help="tokens of the prompt (default: max-total-tokens - 1)")
    add("--max-batch-total-tokens", type=int, help="tokens of all running requests (default: max-total-tokens)")
    add("--max-batch-size", type=int, default=4, help="requests that run at once (default: 4)")
    for name, default in (("concurrent-requests", 128), ("best-of", 2), ("stop-sequences", 4), ("top-n-tokens", 5),
                          ("client-batch-size", 4)):  # fmt: skip
        add(f"--max-{name}", type=int, default=default, help=f"as TGI's (default: {default})")
    add("--payload-limit", type=int, default=2_000_000, help="bytes of a body (default: 2000000)")
    add("--threads", type=int, help="llama.cpp's CPU threads (default: leaves one core to other programs)")
    add("--gpu-layers", type=int, help="llama.cpp's layers on the GPU")
    return flags


def limits_of(options: argparse.Namespace) -> Limits:
    """The limits that the flags set, TGI's defaults filled in."""
    names = Limits.__dataclass_fields__
    given = {name: value for name, value in vars(options).items() if name in names and value is not None}
    given.setdefault("max_input_tokens", options.max_total_tokens - 1)
    given.setdefault("max_batch_total_tokens", options.max_total_tokens)
    return Limits(**given)


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped or until the engine ends; returns the exit code."""
    flags = parser()
    options = flags.parse_args(arguments)
    try:
        limits = limits_of(options)
    except ValueError as error:
        flags.error(str(error))
    backend, llama = llama_process.start(
        options.model_id, limits, threads=options.threads, gpu_layers=options.gpu_layers
    )
    try:
        return serve(options, limits, backend, llama)
    finally:
        llama.kill()
        llama.wait()


def serve(options: argparse.Namespace, limits: Limits, backend: Backend, llama: subprocess.Popen[bytes]) -> int:
    """Answer requests; the engine's end is ours."""
    import uvicorn

    from courselib.gateway.app import make_app
    from courselib.gateway.state import Gateway
    from courselib.version import VERSION

    name = options.served_model_name or options.model_id
    gateway = Gateway(name, options.api_key, VERSION, backend, limits)
    config = uvicorn.Config(
        make_app(gateway), host=options.hostname, port=options.port, server_header=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    code: list[int] = []

    def watch() -> None:
        code.append(llama.wait())
        print(f"the llama.cpp server has ended with exit code {code[0]}", file=sys.stderr, flush=True)
        time.sleep(LAST_WORDS_S)
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    return (abs(code[0]) or 1) if code else 0


if __name__ == "__main__":
    sys.exit(main())
