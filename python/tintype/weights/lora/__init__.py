"""LoRA adapters: files and their keys, and their merging while weights are read."""
