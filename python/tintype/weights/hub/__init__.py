"""Repositories of the Hugging Face Hub: what of them is needed, downloaded or looked at."""
