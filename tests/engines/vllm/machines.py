"""Machines to choose for, and the model of the course."""

from courselib.engines.vllm.checks import check_machine, check_model
from courselib.engines.vllm.machine import Machine, choose
from courselib.engines.vllm.settings import VllmSettings
from courselib.machine import Gpu

GIB = 1 << 30
CPU = Machine(features=("avx2", "avx512f", "avx512_bf16"), cpus="0-1", free=20 * GIB, total=24 * GIB)
OLD_CPU = Machine(features=("avx2",), cpus="0-3", free=5 * GIB, total=8 * GIB)
FULL_CPU = Machine(features=("avx2",), free=GIB, total=8 * GIB)
T4 = Machine(gpus=(Gpu("Tesla T4", 15360),), capability=7.5, free=10 * GIB, total=12 * GIB)
H100 = Machine(gpus=(Gpu("NVIDIA H100", 81559),) * 2, capability=9.0, free=100 * GIB, total=200 * GIB)
SMOLLM2 = {
    "architectures": ["LlamaForCausalLM"],
    "dtype": "bfloat16",
    "head_dim": 64,
    "hidden_size": 576,
    "max_position_embeddings": 8192,
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
}


def prepared(machine, config=SMOLLM2, **settings):
    """What ``prepare`` does between finding the machine and starting the engine."""
    ready = choose(VllmSettings(**settings), machine)
    check_machine(ready, machine)
    check_model(ready, machine, config)
    return ready
