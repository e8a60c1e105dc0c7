"""Models of a few kilobytes that llama.cpp loads: the shapes of known families, their weights all the same number.

Names of entries and tensors: llama.cpp's llama-arch.cpp and src/models; an engine that loads them shows they are right.
"""

EMBEDDING, FEED_FORWARD, HEADS = 64, 32, 4


def vocabulary():
    """The smallest that llama.cpp takes: three special tokens and the 256 bytes."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0] * len(tokens),
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


def facts(architecture, layers, **entries):
    """A model's entries; two underscores in a key stand for a dot."""
    own = {
        "context_length": 32768,
        "block_count": layers,
        "embedding_length": EMBEDDING,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.layer_norm_rms_epsilon": 1e-5,
        **{key.replace("__", "."): value for key, value in entries.items()},
    }
    return {
        "general.architecture": architecture,
        **{f"{architecture}.{key}": value for key, value in own.items()},
        **vocabulary(),
    }


def _network(blk, embedding=EMBEDDING, feed_forward=FEED_FORWARD):
    return {
        f"{blk}.ffn_norm.weight": (embedding,),
        f"{blk}.ffn_gate.weight": (embedding, feed_forward),
        f"{blk}.ffn_up.weight": (embedding, feed_forward),
        f"{blk}.ffn_down.weight": (feed_forward, embedding),
    }


def _experts(blk, embedding, feed_forward, experts):
    return {
        f"{blk}.ffn_norm.weight": (embedding,),
        f"{blk}.ffn_gate_inp.weight": (embedding, experts),
        f"{blk}.ffn_gate_exps.weight": (embedding, feed_forward, experts),
        f"{blk}.ffn_up_exps.weight": (embedding, feed_forward, experts),
        f"{blk}.ffn_down_exps.weight": (feed_forward, embedding, experts),
    }


def _attention(blk, kv_heads, head):
    return {
        f"{blk}.attn_q.weight": (EMBEDDING, HEADS * head),
        f"{blk}.attn_k.weight": (EMBEDDING, kv_heads * head),
        f"{blk}.attn_v.weight": (EMBEDDING, kv_heads * head),
        f"{blk}.attn_output.weight": (HEADS * head, EMBEDDING),
        f"{blk}.attn_q_norm.weight": (head,),
        f"{blk}.attn_k_norm.weight": (head,),
    }


def _around(norm="output_norm.weight"):
    return {"token_embd.weight": (EMBEDDING, 259), norm: (EMBEDDING,)}


def llama(embedding, feed_forward, heads, kv_heads, head, vocabulary_size=259, experts=0, used=0, layers=2):
    """Any widths; a mixture of experts, of which a token uses some."""
    entries = facts(
        "llama", layers, embedding_length=embedding, feed_forward_length=feed_forward, attention__head_count=heads,
        attention__head_count_kv=kv_heads, attention__key_length=head, attention__value_length=head,
        rope__dimension_count=head, **({"expert_count": experts, "expert_used_count": used} if experts else {}),
    )  # fmt: skip
    more = vocabulary_size - len(entries["tokenizer.ggml.tokens"])
    entries["tokenizer.ggml.tokens"] += [f"w{number}" for number in range(more)]
    entries["tokenizer.ggml.scores"] += [0.0] * more
    entries["tokenizer.ggml.token_type"] += [1] * more
    tensors = {"token_embd.weight": (embedding, vocabulary_size), "output_norm.weight": (embedding,)}
    for blk in (f"blk.{layer}" for layer in range(layers)):
        tensors |= {
            f"{blk}.attn_norm.weight": (embedding,),
            f"{blk}.attn_q.weight": (embedding, heads * head),
            f"{blk}.attn_k.weight": (embedding, kv_heads * head),
            f"{blk}.attn_v.weight": (embedding, kv_heads * head),
            f"{blk}.attn_output.weight": (heads * head, embedding),
        }
        network = _experts(blk, embedding, feed_forward, experts) if experts else _network(blk, embedding, feed_forward)
        tensors |= network
    return entries, tensors


def gemma3():
    """Seven layers, each sixth of which sees the whole context, the others 1,024 tokens; a head is 32 wide."""
    entries = facts(
        "gemma3", 7, attention__head_count_kv=2, attention__key_length=32, attention__value_length=32,
        attention__sliding_window=1024,
    )  # fmt: skip
    tensors = _around()
    for blk in (f"blk.{layer}" for layer in range(7)):
        norms = ("attn_norm", "post_attention_norm", "post_ffw_norm")
        tensors |= {f"{blk}.{name}.weight": (EMBEDDING,) for name in norms}
        tensors |= _attention(blk, 2, 32) | _network(blk)
    return entries, tensors


def lfm2(kv_heads=(0, 0, 2, 0, 2)):
    """Layers without KV heads keep a short convolution's state."""
    entries = facts("lfm2", len(kv_heads), attention__head_count_kv=list(kv_heads), shortconv__l_cache=3)
    tensors = _around("token_embd_norm.weight")
    for layer, heads in enumerate(kv_heads):
        blk = f"blk.{layer}"
        tensors |= {f"{blk}.attn_norm.weight": (EMBEDDING,)} | _network(blk)
        if heads:
            tensors |= _attention(blk, heads, EMBEDDING // HEADS)
        else:
            tensors |= {
                f"{blk}.shortconv.conv.weight": (3, EMBEDDING),
                f"{blk}.shortconv.in_proj.weight": (EMBEDDING, 3 * EMBEDDING),
                f"{blk}.shortconv.out_proj.weight": (EMBEDDING, EMBEDDING),
            }
    return entries, tensors


def deepseek2():
    """Latent attention: a compressed vector of 32 and a rotated part of 16 for each token, and no values."""
    rank, rotated, head = 32, 16, 32
    entries = facts(
        "deepseek2", 2, attention__head_count_kv=1, attention__key_length=rank + rotated,
        attention__value_length=rank, attention__key_length_mla=head, attention__value_length_mla=head,
        attention__kv_lora_rank=rank, attention__q_lora_rank=rank, leading_dense_block_count=2,
        rope__dimension_count=rotated, expert_count=0, expert_feed_forward_length=FEED_FORWARD, expert_shared_count=1,
        vocab_size=259,
    )  # fmt: skip
    tensors = _around()
    for blk in ("blk.0", "blk.1"):
        tensors |= {f"{blk}.attn_norm.weight": (EMBEDDING,)} | _network(blk)
        tensors |= {
            f"{blk}.attn_q_a.weight": (EMBEDDING, rank),
            f"{blk}.attn_q_a_norm.weight": (rank,),
            f"{blk}.attn_q_b.weight": (rank, HEADS * head),
            f"{blk}.attn_kv_a_mqa.weight": (EMBEDDING, rank + rotated),
            f"{blk}.attn_kv_a_norm.weight": (rank,),
            f"{blk}.attn_k_b.weight": (head - rotated, rank, HEADS),
            f"{blk}.attn_v_b.weight": (rank, head, HEADS),
            f"{blk}.attn_output.weight": (HEADS * head, EMBEDDING),
        }
    return entries, tensors


def mamba():
    """A state for each sequence, however long it is, and no cache."""
    inner, state, rank, convolution = 2 * EMBEDDING, 16, 4, 4
    entries = facts(
        "mamba", 2, ssm__conv_kernel=convolution, ssm__inner_size=inner, ssm__state_size=state,
        ssm__time_step_rank=rank,
    )  # fmt: skip
    entries |= {"mamba.attention.head_count": 0, "mamba.feed_forward_length": 0}
    tensors = _around()
    for blk in ("blk.0", "blk.1"):
        tensors |= {
            f"{blk}.attn_norm.weight": (EMBEDDING,),
            f"{blk}.ssm_in.weight": (EMBEDDING, 2 * inner),
            f"{blk}.ssm_conv1d.weight": (convolution, inner),
            f"{blk}.ssm_conv1d.bias": (inner,),
            f"{blk}.ssm_x.weight": (inner, rank + 2 * state),
            f"{blk}.ssm_dt.weight": (rank, inner),
            f"{blk}.ssm_dt.bias": (inner,),
            f"{blk}.ssm_a": (state, inner),
            f"{blk}.ssm_d": (inner,),
            f"{blk}.ssm_out.weight": (inner, EMBEDDING),
        }
    return entries, tensors
