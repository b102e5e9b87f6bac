"""Compile the Triton kernels for an NVIDIA device where there is none.

The interpreter accepts what the compiler rejects. So each kernel is compiled just as it would be launched:
the launch is caught, and its arguments become the signature.
"""

from __future__ import annotations

import json
import traceback

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from aucseg.functional.cuda import kernels, launch
from tests.functional.cuda.cases import CASES, COMPILED, differentiate, inputs

HOPPER = GPUTarget("cuda", 90, 32)
POINTERS = {
    torch.float32: "*fp32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.uint8: "*u8",
    torch.int16: "*i16",
    torch.int32: "*i32",
    torch.int64: "*i64",
}


class Caught:
    """Stands for a kernel: compiles at every launch, runs nothing."""

    def __init__(self, kernel: triton.JITFunction) -> None:
        self.kernel = kernel

    def __getitem__(self, grid):
        return self.launch

    def launch(self, *arguments, **named):
        values = dict(zip(self.kernel.arg_names, arguments, strict=False)) | named
        signature, constants, divisible = {}, {}, {}
        for place, parameter in enumerate(self.kernel.params):
            value = values.pop(parameter.name)
            if parameter.is_constexpr or (isinstance(value, int) and value == 1):
                signature[parameter.name], constants[(place,)] = "constexpr", value
                continue
            if isinstance(value, torch.Tensor):
                signature[parameter.name] = POINTERS[value.dtype]
            else:
                signature[parameter.name] = "fp32" if isinstance(value, float) else "i32"
            if isinstance(value, torch.Tensor) or (isinstance(value, int) and value % 16 == 0):
                divisible[(place,)] = [["tt.divisibility", 16]]
        source = ASTSource(self.kernel, signature=signature, constexprs=constants, attrs=divisible)
        compiled = triton.compile(
            source, target=HOPPER, options={k: v for k, v in values.items() if v is not None}
        )
        assert compiled.asm["cubin"]


def main() -> None:
    """Compile; prints a JSON object from each case to what went wrong, or null."""
    for name in ("forward_kernel", "backward_kernel", "count_kernel"):
        setattr(kernels, name, Caught(getattr(kernels, name)))
    outcome: dict[str, str | None] = {}
    for name in COMPILED:
        try:
            if name == "count":
                launch.class_count(torch.zeros(2, 4096, dtype=torch.int64), 19)
            else:
                differentiate(launch.channel_sums, *inputs(CASES[name], "cpu"))
            outcome[name] = None
        except Exception:  # reported by the test of that name
            outcome[name] = traceback.format_exc()
    print(json.dumps(outcome))  # noqa: T201


if __name__ == "__main__":
    main()
