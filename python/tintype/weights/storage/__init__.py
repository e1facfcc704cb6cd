"""Tensors as files hold them: safetensors by memory map, views, float types, 4-bit and float8 weights."""
