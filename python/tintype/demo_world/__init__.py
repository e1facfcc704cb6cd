"""The demo model's procedural world: scenes, captions, an analytic checker and the accuracy table.

Needs numpy and PIL only; `tools/demo_model` trains from it and `tintype bench --suite demo` measures by it.
"""

from .checker import Score, Verdict, judge, read
from .evaluation import PROMPT_SETS, Prompt, Table, add_verdict, evaluate, format_table, prompts
from .world import Scene, Thing, caption, render, sample_scene

__all__ = [
    "PROMPT_SETS",
    "Prompt",
    "Scene",
    "Score",
    "Table",
    "Thing",
    "Verdict",
    "add_verdict",
    "caption",
    "evaluate",
    "format_table",
    "judge",
    "prompts",
    "read",
    "render",
    "sample_scene",
]
