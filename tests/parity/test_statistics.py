"""What a run costs, as both commands tell it: the same stages and keys, predictions, ops and weights."""

import json
import pathlib
import subprocess

import pytest

import tintype


@pytest.mark.parametrize("backend", ["mlx", "coreml"])
def test_both_tell_the_same(
    bundle: pathlib.Path, backend: str, swift_cli: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    line = [
        swift_cli,
        "generate",
        "a cat",
        "--model",
        bundle,
        "--steps",
        "2",
        "--seed",
        "1",
        "--stats",
        "--json",
    ]
    line += ["--backend", backend, "--output", tmp_path / "cat.png"]
    run = subprocess.run([*map(str, line)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    swift = json.loads(run.stdout)["statistics"]
    with tintype.Pipeline.load(bundle, backend=backend) as pipeline:
        result = pipeline.generate("a cat", steps=2, seed=1, statistics=True)
    assert result.statistics is not None
    python = {name: json.loads(json.dumps(stage.to_json())) for name, stage in result.statistics.items()}
    assert swift.keys() == python.keys()
    for stage, told in python.items():
        found = swift[stage]
        assert found.keys() == told.keys()
        for key in ("backends", "predictions", "weight_bytes", "untold"):
            assert found[key] == told[key], (stage, key)
        assert (found["peak_bytes"] is None) == (told["peak_bytes"] is None)
        assert {op: (row["calls"], row["bytes"]) for op, row in found["ops"].items()} == {
            op: (row["calls"], row["bytes"]) for op, row in told["ops"].items()
        }
