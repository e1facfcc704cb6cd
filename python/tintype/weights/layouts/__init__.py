"""Where publishers put what: Hugging Face's folders, single files, DiffusionKit's checkpoints; key names."""
