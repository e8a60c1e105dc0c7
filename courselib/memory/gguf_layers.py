"""What llama.cpp keeps for each layer of a model: keys and values, of the whole context or of a window, or a state.

Read from llama.cpp b11549: ``load_hparams`` and ``create_memory`` in llama-model.cpp, ``load_arch_hparams`` in
src/models/*.cpp, llama-hparams.cpp. Each family has rules of its own there, and a file holds only what its family's
rules read; so a family that is not listed here has no layout, rather than one that may be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from courselib.memory.header import Header
from courselib.memory.model import Layer

# Every layer keeps the whole context, whatever windows the file names: Phi 3's and Mistral 7B's are not used.
DENSE = frozenset({
    "apertus", "arcee", "arctic", "baichuan", "bailingmoe", "bailingmoe2", "bitnet", "bloom", "chameleon", "chatglm",
    "codeshell", "cogvlm", "command-r", "dbrx", "deci", "deepseek", "deepseek2", "deepseek2-ocr", "dots1", "ernie4_5",
    "ernie4_5-moe", "exaone", "falcon", "gemma", "glm4", "glm4moe", "gpt2", "gptneox", "granite", "granitemoe", "grok",
    "grovemoe", "hunyuan-dense", "hunyuan-moe", "hunyuan_vl", "hy_v3", "internlm2", "jais", "jais2", "llama",
    "maincoder", "minicpm", "minicpm3", "minimax-m2", "mistral3", "mistral4", "mpt", "nemotron", "olmo", "olmoe",
    "openelm", "orion", "paddleocr", "pangu-embedded", "phi2", "phi3", "phimoe", "plamo", "plm", "qwen", "qwen2",
    "qwen2moe", "qwen2vl", "qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe", "refact", "seed_oss", "smollm3", "stablelm",
    "starcoder", "starcoder2", "talkie", "xverse",
})  # fmt: skip


@dataclass(frozen=True)
class Windows:
    """Which layers of a family see a window only, where the file does not list them.

    Args:
        period: one layer in so many sees the whole context; 0 is none, None leaves it to the file.
        whole_first: that layer is the first of its period, not the last.
        default: the window's tokens where the file does not say; 0 is no window.
        always: the window's tokens whatever the file says, unless that is 0.
    """

    period: int | None
    whole_first: bool = False
    default: int = 0
    always: int = 0


WINDOWS = {
    "gemma2": Windows(2, default=4096), "gemma3": Windows(6), "gemma3n": Windows(5), "gpt-oss": Windows(2),
    "cohere2": Windows(4), "cohere2moe": Windows(4, whole_first=True), "exaone-moe": Windows(4, default=128),
    "exaone4": Windows(4, default=4096), "llama4": Windows(4, default=8192, always=8192), "olmo2": Windows(4),
    "mellum": Windows(4), "afmoe": Windows(4), "muse-glimmer": Windows(4), "plamo3": Windows(8),
    "laguna": Windows(4, whole_first=True), "smallthinker": Windows(4, whole_first=True, always=4096),
    "gemma4": Windows(None), "mimo2": Windows(None), "step35": Windows(None), "granite_swa": Windows(None),
    "spark2_5": Windows(None), "maple": Windows(None), "lfm2": Windows(0), "lfm2moe": Windows(0),
}  # fmt: skip
EXAONE4_WITH_WINDOWS = 64  # layers of the one size that has them
GEMMA3N_LAYERS_WITH_CACHE = 20  # the others use the cache of the last two of these

STATE_ALONE = frozenset({"mamba", "mamba2", "rwkv6", "rwkv7", "rwkv6qwen2", "arwkv7"})
# A layer without KV heads has a state in their place.
STATE_WITHOUT_HEADS = frozenset({"lfm2", "lfm2moe", "jamba", "granitehybrid", "plamo2"})
# The same, but a layer with a feed-forward network has neither.
STATE_OR_NETWORK = frozenset({"nemotron_h", "nemotron_h_moe"})
STATE_AND_CACHE = frozenset({"falcon-h1"})
STATE_BY_INTERVAL = frozenset({"qwen3next", "qwen35", "qwen35moe"})
WITH_STATE = STATE_ALONE | STATE_WITHOUT_HEADS | STATE_OR_NETWORK | STATE_AND_CACHE | STATE_BY_INTERVAL
# Their latent attention keeps one compressed vector in place of key and value, if the file is made for that.
LATENT = frozenset({"deepseek2", "mistral4"})


def layers(header: Header) -> list[Layer] | None:
    """What each layer keeps; None where this is not known for sure."""
    architecture = header.architecture
    if architecture not in DENSE | WINDOWS.keys() | WITH_STATE or header.layers < 1:
        return None
    heads = _kv_heads(header)
    if heads is None:
        return None
    # Layers for predicting several tokens at once are at the end, and get no cache unless they are used.
    ahead = header.number("nextn_predict_layers")
    if ahead and architecture in WITH_STATE - STATE_BY_INTERVAL:
        return None
    windows, states = _windows(header), _states(header)
    if windows is None or states is None:
        return None
    attends = _attends(header, states)
    rows = zip(heads, windows, states, attends, strict=True)
    kept = [_layer(header, *row) for row in rows]
    return kept[: header.layers - ahead] if ahead < header.layers else kept


def _layer(header: Header, heads: int, window: int, state: int, attends: bool) -> Layer:
    if not attends:
        return Layer(state=state)
    key, value = header.key_length, header.value_length
    if window:
        key = header.number("attention.key_length_swa", key)
        value = header.number("attention.value_length_swa", value)
    latent = header.architecture in LATENT and header.number("attention.key_length_mla")
    return Layer(keys=heads * key, values=0 if latent else heads * value, window=window, state=state)


def _kv_heads(header: Header) -> tuple[int, ...] | None:
    key = "attention.head_count_kv"
    return header.by_layer(key if header.has(key) else "attention.head_count")


def _windows(header: Header) -> tuple[int, ...] | None:
    """Each layer's window, 0 where it sees the whole context."""
    rule = WINDOWS.get(header.architecture)
    if rule is None or (header.architecture == "exaone4" and header.layers != EXAONE4_WITH_WINDOWS):
        return (0,) * header.layers
    window = header.number("attention.sliding_window", rule.default)
    if not window:
        return (0,) * header.layers
    key = "attention.sliding_window_pattern"
    if header.has(key, array=True):
        listed = header.by_layer(key)
    elif rule.period is None:
        listed = None
    else:
        period = header.number(key, rule.period or 0)
        whole = 0 if rule.whole_first else period - 1
        listed = tuple(int(not period or layer % period != whole) for layer in range(header.layers))
    return tuple(bool(sees) * (rule.always or window) for sees in listed) if listed is not None else None


def _states(header: Header) -> tuple[int, ...] | None:
    """Each layer's state, 0 where it has none."""
    architecture = header.architecture
    if architecture not in WITH_STATE:
        return (0,) * header.layers
    size, heads = _state_size(header), _kv_heads(header)
    if heads is None or not size:
        return None
    if architecture in STATE_WITHOUT_HEADS:
        return tuple(0 if n else size for n in heads)
    if architecture in STATE_OR_NETWORK:
        networks = header.by_layer("feed_forward_length")
        return tuple(0 if n or ff else size for n, ff in zip(heads, networks, strict=True)) if networks else None
    if architecture in STATE_BY_INTERVAL:
        interval = header.number("full_attention_interval") or 4
        key = "attention.recurrent_layers"
        recurrent = header.by_layer(key) if header.has(key) else None
        if recurrent is None:
            recurrent = tuple(int((layer + 1) % interval != 0) for layer in range(header.layers))
        return tuple(size if it_is else 0 for it_is in recurrent)
    return (size,) * header.layers


def _attends(header: Header, states: tuple[int, ...]) -> list[bool]:
    """Whether each layer has a cache of keys and values."""
    architecture = header.architecture
    if architecture in STATE_ALONE:
        return [False] * header.layers
    if architecture in STATE_OR_NETWORK:
        networks = header.by_layer("feed_forward_length") or ()
        return [not state and not network for state, network in zip(states, networks, strict=True)]
    if architecture in STATE_AND_CACHE:
        return [True] * header.layers
    with_cache = header.layers
    if architecture == "gemma3n":
        with_cache = GEMMA3N_LAYERS_WITH_CACHE
    elif architecture == "gemma4":
        with_cache -= header.number("attention.shared_kv_layers")
    return [not state and layer < with_cache for layer, state in enumerate(states)]


def _state_size(header: Header) -> int:
    """Numbers that one layer's state takes a sequence; 0 where the file does not say."""
    if head := header.number("wkv.head_size"):
        shifts = header.number("token_shift_count")
        return header.embedding * (shifts + head) if shifts else 0
    if kept := header.number("shortconv.l_cache"):
        return header.embedding * (kept - 1)
    inner, state = header.number("ssm.inner_size"), header.number("ssm.state_size")
    convolution = max(header.number("ssm.conv_kernel") - 1, 0)
    return convolution * (inner + 2 * header.number("ssm.group_count") * state) + state * inner
