"""Sums on NVIDIA's devices by Triton: the kernels, how they are launched, and on what."""
