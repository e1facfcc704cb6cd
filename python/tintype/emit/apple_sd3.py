"""`--profile apple-sd3`: the folder that Apple's ml-stable-diffusion loads for Stable Diffusion 3.

TextEncoder.mlpackage  TextEncoder2.mlpackage  TextEncoderT5.mlpackage
MultiModalDiffusionTransformer.mlpackage  VAEDecoder.mlpackage  VAEEncoder.mlpackage
vocab.json  merges.txt          both CLIPs
tokenizer.json  tokenizer_config.json   T5
compile.sh  README.md           what is left to do on a Mac
profile.json                    what was written, for `tintype inspect`

The pipeline wants compiled models (`.mlmodelc`), and compiling needs Xcode.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .. import layers as nn
from .. import names
from ..compress import Selection, recipes_for
from ..errors import UsageError
from ..layers import MILProgram, Network, Precision
from ..models import apple_sd3
from ..weights import LoraChoices
from .components import check_globs, prepare_program
from .convert import Progress, prepare
from .package import write_placed
from .plan import OTHER_HALF, TRANSFORMER, VAE, Plan
from .staging import staged_folder
from .tokenizers import copy_clip_tokenizer, copy_t5_tokenizer

__all__ = ["PACKAGES", "PROFILE", "apple_programs", "apple_recipes", "export_apple_sd3"]

PROFILE = "apple-sd3"

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
Weights are compressed ({recipes}), without a measurement of what that costs: `tintype convert` with the same
choices and without --profile measures it.
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
) -> Path:
    """Write the checkpoint `source` as the folder `output` that Apple's Swift pipeline loads; returns it.

    `precision` is that of weights and arithmetic; inputs are float32, as the pipeline passes them. The other
    choices are those of `convert`; what `quantize` costs is not measured. `overwrite` replaces a folder that
    this wrote. UsageError where the model is not of the family that the pipeline knows, ConversionError when
    `output` exists; else what `convert` raises.
    """
    plan = prepare(
        source,
        precision=precision,
        size=size,
        components=components,
        variant=variant,
        tokenizers=tokenizers,
        lora=lora,
        progress=progress,
    )
    recipes = apple_recipes(plan, quantize)
    output = Path(output)
    with staged_folder(output, overwrite=overwrite, mark=names.PROFILE_FILE) as stage:
        _tokenizers(plan, stage)
        for component, program in apple_programs(plan):
            name = PACKAGES[component]

            def report(done: int, total: int, label: str = name) -> None:
                if progress is not None:
                    progress(label, done, total)

            prepared = prepare_program(program, recipes.get(component))
            check_globs(recipes.get(component), component, [prepared])
            write_placed(prepared.placed, stage / f"{name}.mlpackage", report)
        (stage / "compile.sh").write_text(COMPILE, encoding="utf-8")
        (stage / "README.md").write_text(_readme(plan, recipes), encoding="utf-8")
        described = {
            "profile": PROFILE,
            "name": plan.source.name,
            "size": vars(plan.size),
            "precision": plan.precision,
            "packages": {
                PACKAGES[c]: recipes[c].name if c in recipes else plan.precision for c in plan.components
            },
        }
        (stage / names.PROFILE_FILE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    return output


def apple_recipes(plan: Plan, quantize: str | None) -> dict[str, Selection]:
    """Component → what its weights are stored as, where that is not their precision; UsageError where the
    pipeline does not know the model, or cannot take the choice."""
    if plan.family.name != names.SD3:
        raise UsageError(
            f"profile is {PROFILE!r}, but {plan.source.name} is of the family {plan.family.name}: "
            "Apple's pipeline knows Stable Diffusion 3 only, leave the profile out"
        )
    if plan.context.clip_tokens != TOKENS:
        raise UsageError(
            f"profile is {PROFILE!r}, but CLIP reads {plan.context.clip_tokens} tokens, expected {TOKENS}: "
            "leave the profile out"
        )
    if quantize == names.AUTO:
        raise UsageError(
            f"quantize: auto measures bundles, and profile {PROFILE!r} writes none: name a recipe"
        )
    return recipes_for(quantize, plan.target, plan.components)


def apple_programs(plan: Plan) -> Iterator[tuple[str, MILProgram]]:
    """The selected packages, one after another, each checked against its tensors."""
    latent = plan.latent_size(plan.size)

    def built(network: Network, component: str, folder: str, others: tuple[str, ...] = ()) -> MILProgram:
        weights = plan.weights(component, folder)
        program = nn.build_program(network.inputs, weights, plan.precision, network.body, plan.target)
        weights.check(others)
        return program

    for name in (n for n in plan.clips if n in plan.components):
        config = plan.clips[name]
        network = apple_sd3.clip_network(config, tokens=TOKENS)
        yield name, built(network, name, plan.family.clips[name].folder)
    if plan.t5 is not None:
        network = apple_sd3.t5_network(plan.t5, tokens=TOKENS)
        yield names.TEXT_ENCODER_3, built(network, names.TEXT_ENCODER_3, plan.family.t5.folder)
    if names.DENOISER in plan.components:
        transformer = apple_sd3.mmdit_network(
            plan.transformer,  # type: ignore[arg-type]  # the family is checked
            latent=latent,
            tokens=2 * TOKENS,
            precision=plan.precision,
        )
        yield names.DENOISER, built(transformer, TRANSFORMER, TRANSFORMER)
    for name, half in (
        (names.VAE_DECODER, apple_sd3.decoder_network),
        (names.VAE_ENCODER, apple_sd3.encoder_network),
    ):
        if name in plan.components:
            network = half(plan.vae, latent=latent, precision=plan.precision)
            yield name, built(network, VAE, VAE, OTHER_HALF[name])


def _tokenizers(plan: Plan, stage: Path) -> None:
    """CLIP's vocabulary and T5's tokenizer, flat."""
    with tempfile.TemporaryDirectory(dir=stage) as place:
        folder = Path(place)
        clip = next((part for n, part in plan.family.clips.items() if n in plan.components), None)
        if clip is not None:
            copy_clip_tokenizer(plan.source, clip, folder, TOKENS)
            for file in ("vocab.json", "merges.txt"):
                shutil.move(folder / clip.tokenizer / file, stage / file)
        if plan.t5 is None:
            return
        part = plan.family.t5
        copy_t5_tokenizer(plan.source, part, folder, TOKENS)
        shutil.move(folder / part.tokenizer / "tokenizer.json", stage / "tokenizer.json")
    # The loader insists on a class that it knows.
    settings = {"tokenizer_class": "T5Tokenizer", "model_max_length": TOKENS}
    text = json.dumps({**settings, "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}, indent=2)
    (stage / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")


def _readme(plan: Plan, recipes: Mapping[str, Selection]) -> str:
    compressed = ", ".join(f"{PACKAGES[name]} {row.name}" for name, row in recipes.items())
    return README.format(
        name=plan.source.name,
        scale=plan.vae.scale,
        shift=plan.vae.shift,
        schedule_shift=plan.schedule.shift,
        width=plan.size.width,
        height=plan.size.height,
        compression=COMPRESSION.format(recipes=compressed) if compressed else "",
    )
