"""TGI's HTTP protocol in front of llama.cpp's server: TGI's clients run unchanged, with no Docker and no GPU.

    request bytes --serde, schema--> request --validation--> what to generate --translate--> llama-server
                                                                                   |
    TGI's answer  <--tgi_answers, openai_routes, sse-- tokens <--generation-- stream of tokens

It is not TGI and says so: in ``/info``, in a header of every answer and in ``system_fingerprint``. What TGI's answers
hold and llama.cpp cannot tell is left out, never made up. Messages, shapes and order of checks are those of TGI 3.3.7
(router/src/server.rs, validation.rs, lib.rs). Run as ``python -m courselib.gateway``.
"""
