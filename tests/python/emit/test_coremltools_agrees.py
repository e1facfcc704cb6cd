"""Stock coremltools reads every kind of package, and its own writer gives the same weight.bin."""

from pathlib import Path
from typing import Literal

import pytest

from tintype import convert, names
from tintype.compress import RECIPES, weights

WEIGHTS = Path("Data/com.apple.CoreML/weights/weight.bin")

#: (source, target, recipe): every family with either target, every recipe with the targets that take it.
CASES = [
    *(
        (source, target, None)
        for source in ("sd3-medium-tiny", "sd3.5-medium-tiny", "sd3.5-large-tiny", "flux-dev-tiny")
        for target in ("gpu", "ane")
    ),
    *(
        ("flux-schnell-tiny", "gpu", recipe)
        for recipe in ("int8", "int4", "palette4", "palette6", "palette8")
    ),
    *(("flux-schnell-tiny", "ane", recipe) for recipe in ("int8", "palette4", "palette6", "palette8")),
]


@pytest.mark.parametrize(("source", "target", "recipe"), CASES)
def test_weights_are_what_coremltools_writes(
    source: str, target: str, recipe: str | None, data: Path, tmp_path: Path
) -> None:
    """Each package is loaded into coremltools' own program, which its own exporter writes again."""
    import coremltools as ct
    from coremltools.converters.mil.backend.mil.load import load as export
    from coremltools.converters.mil.frontend.milproto.load import load

    parts = [names.DENOISER] if recipe else None
    bundle = convert(
        data / source,
        tmp_path / "bundle",
        target="ane" if target == "ane" else "gpu",
        quantize=recipe,
        components=parts,
        size=(64, 64),
    )
    assert bundle.components
    for name in bundle.components:
        path = bundle.package_paths(name)[0]
        model = ct.models.MLModel(str(path), skip_model_load=True)
        spec = model.get_spec()
        program = load(spec, spec.specificationVersion, str((path / WEIGHTS).parent))
        folder = tmp_path / name
        folder.mkdir()
        export(program, str(folder), specification_version=spec.specificationVersion)
        assert (folder / "weight.bin").read_bytes() == (path / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("target", "recipe"),
    [("gpu", r) for r in (None, *RECIPES)] + [("ane", r) for r in (None, *RECIPES) if r != "int4"],
)
def test_same_bytes_with_any_number_of_threads(
    recipe: str | None,
    target: Literal["gpu", "ane"],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "BLOCK_ELEMENTS", 1 << 10)  # several pieces, also of a tiny weight
    texts = []
    for cores in (1, 3):
        monkeypatch.setattr(weights.os, "cpu_count", lambda cores=cores: cores)
        output = tmp_path / str(cores)
        bundle = convert(
            data / "sd3-medium-tiny",
            output,
            target=target,
            quantize=recipe,
            components=[names.DENOISER],
            size=(64, 64),
        )
        texts.append(bundle.to_text())  # the packages' hashes are in it
    assert texts[0] == texts[1]
    first, second = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()}
        for n in ("1", "3")
    )
    assert first == second
