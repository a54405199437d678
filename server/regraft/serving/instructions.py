"""What this processor can do, by the names that matter to quantised graphs."""

import platform
from functools import cache
from pathlib import Path

KNOWN = frozenset(
    ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve")
)
CPUINFO = Path("/proc/cpuinfo")


@cache
def instructions() -> tuple[str, ...]:
    """The architecture, then the instructions by which products of integers are fast, sorted; only
    Linux tells them."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return (platform.machine(), *sorted(KNOWN.intersection(flags.split())))


def saturating() -> bool:
    """Whether products of 8-bit integers are added up in 16 bits, which overflow: on x86-64 before
    VNNI. Seven bits of weights fit (onnxruntime.ai/docs/performance/model-optimizations)."""
    machine, *able = instructions()
    return machine in ("x86_64", "AMD64") and not any("vnni" in name for name in able)
