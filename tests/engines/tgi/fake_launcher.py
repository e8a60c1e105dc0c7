"""A stand-in for TGI's launcher, which no package index has: takes its flags, serves its routes, ends on TERM."""

import argparse
import http.server
import os
import sys

from tests.engines.tgi.fake_docker import FakeTgi

parser = argparse.ArgumentParser(allow_abbrev=False)
FLAGS = """
--model-id --revision --validation-workers --sharded --num-shard --quantize --dtype --kv-cache-dtype --hostname --port
--max-concurrent-requests --max-best-of --max-stop-sequences --max-top-n-tokens --max-input-tokens --max-input-length
--max-total-tokens --waiting-served-ratio --max-batch-prefill-tokens --max-batch-total-tokens --max-waiting-tokens
--max-batch-size --cuda-graphs --prometheus-port --cuda-memory-fraction --max-client-batch-size --usage-stats
"""
for flag in FLAGS.split():
    parser.add_argument(flag)
options = parser.parse_args()
if says := os.environ.get("FAKE_LAUNCHER_DIES_WITH"):
    sys.exit(says)
FakeTgi.key = os.environ["API_KEY"]
print("INFO text_generation_launcher: fake", options, flush=True)
http.server.ThreadingHTTPServer((options.hostname, int(options.port)), FakeTgi).serve_forever()
