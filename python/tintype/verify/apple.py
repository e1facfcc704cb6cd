"""Packages with the interface of Apple's pipeline, called as those of a bundle are.

Their networks are a bundle's, so a recorded run of a bundle holds what they take and give; this module
translates. The denoiser has the modulation inside: what a run calls modulation rows are then (B, 1 + P), the
timestep and the pooled text, which the denoiser takes instead.

Shape key: as in `models.apple_sd3`; B rows, S = L + T.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import names
from ..bundle import Bundle, Component, Size, TensorSpec
from ..pipeline.denoising import Denoiser
from ..pipeline.stages import StageModels

__all__ = [
    "AnyModels",
    "JoinedDenoiser",
    "as_called",
    "expected_interface",
    "interface",
    "is_apples",
    "joined_rows",
]

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Shapes = dict[str, tuple[int, ...]]

LATENTS, TEXT, POOLED = "latent_image_embeddings", "token_level_text_embeddings", "pooled_text_embeddings"
TIMESTEP, VELOCITY = "timestep", "denoiser_output"
Z = "z"


@dataclass(frozen=True)
class Adapter:
    """`mark` is an input or output that only Apple's package has; `interface` gives its shapes for those of a
    bundle; `inputs` and `outputs` translate a call."""

    mark: str
    interface: Callable[[Bundle], Shapes]
    inputs: Callable[[Arrays], dict[str, Array]]
    outputs: Callable[[Arrays], dict[str, Array]]


def _clip(name: str) -> Adapter:
    def shapes(bundle: Bundle) -> Shapes:
        own = interface(bundle.component(name))
        return {
            "input_ids": own[names.INPUT_IDS],
            "hidden_embeds": own[names.HIDDEN_STATES],
            "pooled_outputs": own[names.POOLED],
        }

    return Adapter(
        "hidden_embeds",
        shapes,
        lambda given: {"input_ids": given[names.INPUT_IDS]},
        lambda got: {names.HIDDEN_STATES: got["hidden_embeds"], names.POOLED: got["pooled_outputs"]},
    )


def _t5_shapes(bundle: Bundle) -> Shapes:
    own = interface(bundle.component(names.TEXT_ENCODER_3))
    ids, (rows, tokens, width) = own[names.INPUT_IDS], own[names.HIDDEN_STATES]
    return {"input_ids": ids, "attention_mask": ids, "encoder_hidden_states": (rows, width, 1, tokens)}


def _t5_inputs(given: Arrays) -> dict[str, Array]:
    ids = given[names.INPUT_IDS]  # (1, T)
    mask = (ids == 0).astype(np.float32)  # the pipeline's: 1 on padding, never at the first token
    mask[:, 0] = 0
    return {"input_ids": ids, "attention_mask": mask}


def _t5_outputs(got: Arrays) -> dict[str, Array]:
    return {names.HIDDEN_STATES: got["encoder_hidden_states"][:, :, 0].transpose(0, 2, 1)}  # (1, T, J)


def _denoiser_shapes(bundle: Bundle) -> Shapes:
    own = interface(bundle.component(names.DENOISER))
    rows, tokens, width = own[names.CONTEXT]
    before = interface(bundle.component(names.MODULATION))
    return {
        LATENTS: own[names.LATENT],
        TIMESTEP: before[names.TIMESTEP_FEATURES][:1],
        TEXT: (rows, width, 1, tokens),
        POOLED: (*before[names.POOLED], 1, 1),
        VELOCITY: own[names.VELOCITY],
    }


def _denoiser_inputs(given: Arrays) -> dict[str, Array]:
    rows = given[names.MODULATION_ROWS]  # (B, 1 + P)
    return {
        LATENTS: given[names.LATENT],
        TIMESTEP: rows[:, 0],
        TEXT: given[names.CONTEXT].transpose(0, 2, 1)[:, :, None],  # (B, J, 1, S)
        POOLED: rows[:, 1:, None, None],  # (B, P, 1, 1)
    }


def _half(name: str, given_name: str, got_name: str) -> Adapter:
    def shapes(bundle: Bundle) -> Shapes:
        own = interface(bundle.component(name))
        return {Z: own[given_name], got_name: own[got_name]}

    return Adapter(Z, shapes, lambda given: {Z: given[given_name]}, dict)


ADAPTERS: Mapping[str, Adapter] = {
    names.TEXT_ENCODER: _clip(names.TEXT_ENCODER),
    names.TEXT_ENCODER_2: _clip(names.TEXT_ENCODER_2),
    names.TEXT_ENCODER_3: Adapter("encoder_hidden_states", _t5_shapes, _t5_inputs, _t5_outputs),
    names.DENOISER: Adapter(
        LATENTS, _denoiser_shapes, _denoiser_inputs, lambda got: {names.VELOCITY: got[VELOCITY]}
    ),
    names.VAE_DECODER: _half(names.VAE_DECODER, names.LATENT, names.IMAGE),
    names.VAE_ENCODER: _half(names.VAE_ENCODER, names.IMAGE, names.MOMENTS),
}


class AnyModels(StageModels):
    """Runs a bundle's components by name, those with Apple's interface too; without self-tests, since the
    backend that is measured is not replaced."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, "all", self_tests=False)

    def run(self, component: str, backend: str, inputs: Arrays, size: Size | None = None) -> dict[str, Array]:
        if not is_apples(self._bundle, component):
            return super().run(component, backend, inputs, size)
        adapter = ADAPTERS[component]
        return adapter.outputs(super().run(component, backend, adapter.inputs(inputs), size))


class JoinedDenoiser(Denoiser):
    """A run's denoiser with the modulation inside."""

    def modulation(self, timestep: float, pooled: Array) -> Array:
        return joined_rows(timestep, pooled)


def joined_rows(timestep: float, pooled: Array) -> Array:
    """A timestep and pooled text (B, P) as (B, 1 + P)."""
    return np.concatenate([np.full((len(pooled), 1), timestep, np.float32), pooled], axis=1)


def is_apples(bundle: Bundle, name: str) -> bool:
    """Whether the component `name` of the bundle is there, with the interface of Apple's pipeline."""
    component, adapter = bundle.components.get(name), ADAPTERS.get(name)
    return component is not None and adapter is not None and adapter.mark in interface(component)


def interface(component: Component) -> Shapes:
    """Shapes of its inputs and outputs by their names."""
    return {s.name: s.shape for s in (*component.inputs, *component.outputs)}


def expected_interface(bundle: Bundle, name: str, reference: Bundle) -> Shapes:
    """The interface of the component `name` of `bundle` if it belongs to `reference`, which has it too."""
    if is_apples(bundle, name):
        return ADAPTERS[name].interface(reference)
    return interface(reference.component(name))


def as_called(bundle: Bundle) -> Bundle:
    """`bundle` as a run sees it: a denoiser with Apple's interface is a modulation and a denoiser."""
    if not is_apples(bundle, names.DENOISER):
        return bundle
    denoiser = bundle.component(names.DENOISER)
    latents, timestep = denoiser.input(LATENTS), denoiser.input(TIMESTEP)
    pooled = TensorSpec(names.POOLED, "float32", denoiser.input(POOLED).shape[:2])
    modulation = Component("", (timestep, pooled), ())
    called = replace(denoiser, inputs=(replace(latents, name=names.LATENT),))
    rows = {names.MODULATION: modulation, names.DENOISER: called}
    return replace(bundle, components={**bundle.components, **rows})
