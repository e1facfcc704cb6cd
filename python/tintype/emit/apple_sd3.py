"""`--profile apple-sd3`: the folder that Apple's ml-stable-diffusion loads for Stable Diffusion 3.

TextEncoder.mlpackage  TextEncoder2.mlpackage  TextEncoderT5.mlpackage
MultiModalDiffusionTransformer.mlpackage  VAEDecoder.mlpackage  VAEEncoder.mlpackage
vocab.json  merges.txt          both CLIPs
tokenizer.json  tokenizer_config.json   T5
compile.sh  README.md           what is left to do on a Mac
profile.json                    what was written, for `tintype inspect` and `tintype verify`

The pipeline wants compiled models (`.mlmodelc`), and compiling needs Xcode.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .. import layers as nn
from .. import names
from ..apple_folder import AppleFolder
from ..bundle import Component, Tokenizer
from ..compress import NONE, Selection, recipes_for
from ..errors import UsageError
from ..layers import MILProgram, Network, Precision
from ..models import apple_sd3
from ..weights import LoraChoices
from .auto import Auto, Measure
from .components import prepare_program, write_component
from .convert import Gate, Progress, described, prepare
from .plan import OTHER_HALF, TRANSFORMER, VAE, Plan
from .staging import staged_folder
from .tokenizers import copy_clip_tokenizer, copy_t5_tokenizer

__all__ = ["PACKAGES", "apple_programs", "apple_recipes", "export_apple_sd3"]

#: Component → the name that Apple's pipeline opens.
PACKAGES = {
    names.TEXT_ENCODER: "TextEncoder",
    names.TEXT_ENCODER_2: "TextEncoder2",
    names.TEXT_ENCODER_3: "TextEncoderT5",
    names.DENOISER: "MultiModalDiffusionTransformer",
    names.VAE_DECODER: "VAEDecoder",
    names.VAE_ENCODER: "VAEEncoder",
}

#: The pipeline keeps this many of T5's tokens, and of CLIP's.
TOKENS = 77

COMPILE = """#!/bin/sh
# Compiles the packages of this folder beside themselves; needs a Mac with Xcode.
set -e
cd "$(dirname "$0")"
for package in *.mlpackage; do
  xcrun coremlcompiler compile "$package" .
done
"""

README = """# {name} for Apple's ml-stable-diffusion

Made by `tintype convert --profile apple-sd3`. On a Mac with Xcode, `sh compile.sh` compiles the packages to
the `.mlmodelc` folders that the Swift pipeline loads; then, in ml-stable-diffusion:

    swift run StableDiffusionSample "a lighthouse at dawn" --sd3 --resource-path THIS_FOLDER

A program that calls the pipeline itself sets the latent's scale {scale:g} and shift {shift:g}, and the
schedule's shift {schedule_shift:g}: its defaults are those of older models.

Pictures are {width} x {height}. The text encoders are the checkpoint's own. T5's attention mask has no
influence: the reference pipeline passes none. Nothing here has run on a Mac yet.
{compression}"""

COMPRESSION = """
Weights are compressed ({recipes}). How close the packages are to float32 is in profile.json, where it was
measured; `tintype verify THIS_FOLDER --against SOURCE` measures it.
"""


def export_apple_sd3(
    source: "str | Path",
    output: "str | Path",
    *,
    precision: Precision = "float16",
    size: tuple[int, int] | None = None,
    components: Sequence[str] | None = None,
    quantize: str | None = None,
    overwrite: bool = False,
    variant: str | None = None,
    tokenizers: "str | Path | None" = None,
    lora: LoraChoices = (),
    progress: Progress | None = None,
    gate: Gate | None = None,
    measure: Measure | None = None,
) -> Path:
    """Write the checkpoint `source` as the folder `output` that Apple's Swift pipeline loads; returns it.

    `precision` is that of weights and arithmetic; inputs are float32, as the pipeline passes them. The other
    choices are those of `convert`, `gate` and `measure` among them: they are called with an `AppleFolder`.
    `overwrite` replaces a folder that this wrote. UsageError where the model is not of the family that the
    pipeline knows, ConversionError when `output` exists; else what `convert` raises.
    """
    plan = prepare(
        source,
        precision=precision,
        size=size,
        components=components,
        variant=variant,
        tokenizers=tokenizers,
        lora=lora,
        max_sequence_length=TOKENS,
        progress=progress,
    )
    recipes = apple_recipes(plan, quantize)
    if quantize == names.AUTO and measure is None:
        raise UsageError("quantize: auto has to measure: give measure a verify.Meter(source)")
    output = Path(output)
    with staged_folder(output, overwrite=overwrite, mark=names.PROFILE_FILE) as stage:
        copied = _tokenizers(plan, stage)
        plan.open_weights()
        if quantize == names.AUTO and measure is not None:
            made = _smallest(plan, stage, measure, progress)
        else:
            made = _written(plan, stage, recipes, progress)
        (stage / "compile.sh").write_text(COMPILE, encoding="utf-8")
        (stage / "README.md").write_text(_readme(plan, made), encoding="utf-8")
        folder = _described(plan, stage, made, copied)
        (stage / names.PROFILE_FILE).write_text(folder.to_text(), encoding="utf-8")
        if gate is not None:
            gate(AppleFolder.read(stage))
    return output


def _written(
    plan: Plan, stage: Path, recipes: Mapping[str, Selection], progress: Progress | None
) -> dict[str, Component]:
    components = {}
    for name, program in apple_programs(plan):
        prepared = [prepare_program(program, recipes.get(name))]
        components[name] = write_component(prepared, name, stage, recipes.get(name), progress, PACKAGES[name])
    return components


def _smallest(plan: Plan, stage: Path, measure: Measure, progress: Progress | None) -> dict[str, Component]:
    def describe(components: Mapping[str, Component]) -> AppleFolder:
        return _described(plan, stage, components, {})

    def build(name: str) -> list[MILProgram]:
        return [_program(plan, name)]

    auto = Auto(plan.target, build, stage, describe, measure, progress, PACKAGES)
    components = {name: auto.smallest(name, [program]) for name, program in apple_programs(plan)}
    auto.back_off(components, components.__setitem__)
    return components


def _described(
    plan: Plan, stage: Path, components: Mapping[str, Component], tokenizers: Mapping[str, Tokenizer]
) -> AppleFolder:
    return AppleFolder(**vars(replace(described(plan, components, tokenizers, {}), root=stage)))


def apple_recipes(plan: Plan, quantize: str | None) -> dict[str, Selection]:
    """Component → what its weights are stored as, where that is not their precision; UsageError where the
    pipeline does not know the model, or cannot take the choice."""
    if plan.family.name != names.SD3:
        raise UsageError(
            f"profile is {names.APPLE_SD3!r}, but {plan.source.name} is of the family {plan.family.name}: "
            "Apple's pipeline knows Stable Diffusion 3 only, leave the profile out"
        )
    if plan.context.clip_tokens != TOKENS:
        raise UsageError(
            f"profile is {names.APPLE_SD3!r}, but CLIP reads {plan.context.clip_tokens} tokens, expected "
            f"{TOKENS}: leave the profile out"
        )
    if quantize == names.AUTO:
        return {}
    return recipes_for(quantize, plan.target, plan.components)


def apple_programs(plan: Plan) -> Iterator[tuple[str, MILProgram]]:
    """The selected packages, one after another, each checked against its tensors."""
    for name in PACKAGES:
        if name in plan.components:
            yield name, _program(plan, name)


def _program(plan: Plan, name: str) -> MILProgram:
    network, component, folder = _network(plan, name)
    weights = plan.weights(component, folder)
    program = nn.build_program(network.inputs, weights, plan.precision, network.body, plan.target)
    weights.check(OTHER_HALF.get(name, ()))
    return program


def _network(plan: Plan, name: str) -> tuple[Network, str, str]:
    """The network of a package, and the component and the folder whose weights it has."""
    latent, precision = plan.latent_size(plan.size), plan.precision
    if name in plan.clips:
        return apple_sd3.clip_network(plan.clips[name], tokens=TOKENS), name, plan.family.clips[name].folder
    if name == names.TEXT_ENCODER_3:
        assert plan.t5 is not None  # `Plan.make` reads it whenever the component is selected
        return apple_sd3.t5_network(plan.t5, tokens=TOKENS), name, plan.family.t5.folder
    if name == names.DENOISER:
        transformer = apple_sd3.mmdit_network(
            plan.transformer,  # type: ignore[arg-type]  # the family is checked
            latent=latent,
            tokens=2 * TOKENS,
            precision=precision,
        )
        return transformer, TRANSFORMER, TRANSFORMER
    half = apple_sd3.decoder_network if name == names.VAE_DECODER else apple_sd3.encoder_network
    return half(plan.vae, latent=latent, precision=precision), VAE, VAE


def _tokenizers(plan: Plan, stage: Path) -> dict[str, Tokenizer]:
    """CLIP's vocabulary, of the first encoder for both, and T5's tokenizer, flat."""
    found: dict[str, Tokenizer] = {}
    with tempfile.TemporaryDirectory(dir=stage) as place:
        folder = Path(place)
        for component, part in plan.family.clips.items():
            if component not in plan.components:
                continue
            row = copy_clip_tokenizer(plan.source, part, folder, TOKENS)
            if not found:
                for file in ("vocab.json", "merges.txt"):
                    shutil.move(folder / part.tokenizer / file, stage / file)
            found[part.tokenizer] = replace(row, path="vocab.json")
        if plan.t5 is None:
            return found
        part = plan.family.t5
        row = copy_t5_tokenizer(plan.source, part, folder, TOKENS)
        shutil.move(folder / part.tokenizer / "tokenizer.json", stage / "tokenizer.json")
    # The loader insists on a class that it knows.
    settings = {"tokenizer_class": "T5Tokenizer", "model_max_length": TOKENS}
    text = json.dumps({**settings, "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}, indent=2)
    (stage / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
    return {**found, part.tokenizer: replace(row, path="tokenizer.json")}


def _readme(plan: Plan, components: Mapping[str, Component]) -> str:
    recipes = {name: row.compression.get("recipe", NONE) for name, row in components.items()}
    compressed = ", ".join(f"{PACKAGES[name]} {recipe}" for name, recipe in recipes.items() if recipe != NONE)
    return README.format(
        name=plan.source.name,
        scale=plan.vae.scale,
        shift=plan.vae.shift,
        schedule_shift=plan.schedule.shift,
        width=plan.size.width,
        height=plan.size.height,
        compression=COMPRESSION.format(recipes=compressed) if compressed else "",
    )
