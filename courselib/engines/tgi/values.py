"""What TGI's settings may be, and the names of its images."""

IMAGE = "ghcr.io/huggingface/text-generation-inference:3.3.7"
QUANTIZATIONS = (
    "awq", "compressed-tensors", "eetq", "exl2", "gptq", "marlin", "bitsandbytes", "bitsandbytes-nf4",
    "bitsandbytes-fp4", "fp8",
)  # fmt: skip
DTYPES = ("float16", "bfloat16")
KV_CACHE_DTYPES = ("fp8_e4m3fn", "fp8_e5m2")
CPU_IMAGE, XPU_IMAGE, ROCM_IMAGE = "-intel-cpu", "-intel-xpu", "-rocm"
SHM_SIZE = "1g"
