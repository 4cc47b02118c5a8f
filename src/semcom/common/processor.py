"""The processor of this machine: its name, and the vector arithmetic that it has and may use."""

import os
import platform
import re
from collections.abc import Mapping
from functools import cache

from semcom.common.errors import InputError

# Ordered from most to least: the first that the processor has names its kind.
_KINDS = (
    ("amx_bf16", "AMX"),
    ("avx512_bf16", "AVX-512 BF16"),
    ("avx512_f", "AVX-512"),
    ("avx2", "AVX2"),
    ("sve_bf16", "SVE BF16"),
    ("bf16", "NEON BF16"),
    ("neon", "NEON"),
)
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_UNLIMITED = re.compile(r"|DEFAULT|ALL|.*(BF16|FP16|AMX|AVX10).*")  # of bfloat16
_KNOWN = re.compile(r"|DEFAULT|ALL|SSE41|AVX|AVX2\w*|AVX512\w*|AVX10\w*")


@cache
def capabilities() -> Mapping[str, object]:
    """What torch finds the processor able to do: names of instruction sets, each True or False."""
    import torch  # seconds to import, and not needed to read a name

    return torch.cpu.get_capabilities()


def limit() -> str | None:
    """The instruction set to which the environment limits oneDNN, which computes torch's convolutions; None for no limit."""
    said = next((os.environ[name] for name in _LIMITS if name in os.environ), "")
    return None if _UNLIMITED.fullmatch(said.upper()) else said


def check_limit(environment: Mapping[str, str]) -> None:
    """Whether what limits oneDNN is an instruction set: it ignores other words, by which `limit` would go.

    Raises:
        InputError: names the variable.
    """
    for name in _LIMITS:
        if not _KNOWN.fullmatch(environment.get(name, "").upper()):
            raise InputError(
                f"{name}: '{environment[name]}' is no instruction set of oneDNN; correct or unset the variable"
            )


def kind() -> str:
    """The vector arithmetic that torch may use here, such as "AVX2" or "AVX-512 BF16"."""
    found = next((label for name, label in _KINDS if capabilities().get(name)), platform.machine())
    return found if limit() is None else f"{found} limited to {limit()}"


def name() -> str:
    """The processor as its maker calls it, with family and model where they tell more, and its arithmetic."""
    fields = {}
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                key, _, value = line.partition(":")
                fields.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    model = fields.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in fields:
        model += f", family {fields['cpu family']} model {fields.get('model', '?')}"
    return f"{model} ({kind()})"
