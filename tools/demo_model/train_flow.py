#!/usr/bin/env python3
"""Trains the transformer and both text encoders together; goes on where it stopped.

    python train_flow.py --work WORK --minutes 95 --compile [--helper] [--from MODEL]

Rectified flow: the network sees (1 - σ) latents + σ noise and learns noise - latents.  Needs WORK/vae.pt
of train_vae.py and encodes the training scenes on its first run; or begins from an exported pipeline,
whose autoencoder and tokenizer it then keeps.
"""

from __future__ import annotations

import argparse
import functools
import math
import pathlib
import shutil
from dataclasses import dataclass

import torch
from dataset import load_latents, tokenise
from diffusers import AutoencoderKL
from gradient_helper import GradientHelper
from models import CONFIG, Flow
from objective import Batches, Objective
from optimizer import MUON_RATE, MuonAdam, rate_factor
from tokenizer import load_tokenizer
from train_vae import load_vae
from training import Average, Budget, Every, common_arguments, log, save_atomically

DECAY = 0.999
HOLD = 0.25  # share of the time before the learning rate falls
MOMENTUM, MOMENTUM_WITH_HELPER = 0.95, 0.9


@dataclass
class State:
    """All that a checkpoint holds."""

    model: Flow
    optimizer: MuonAdam
    average: Average
    shift: float
    scale: float
    step: int = 0
    seen: int = 0
    spent: float = 0.0

    def load(self, path: pathlib.Path) -> None:
        state = torch.load(path, map_location=self.model.device)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["opt"])
        self.average.values = state["ema"]
        self.shift, self.scale = state["shift"], state["scale"]
        self.step, self.seen, self.spent = state["step"], state["seen"], state["spent"]
        log(f"flow: resumed at step {self.step}, {self.seen} samples, {self.spent / 60:.1f} min")

    def save(self, path: pathlib.Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "opt": self.optimizer.state_dict(),
            "ema": self.average.values,
            "shift": self.shift,
            "scale": self.scale,
            "step": self.step,
            "seen": self.seen,
            "spent": self.spent,
        }
        save_atomically(path, state)


def take_over(exported: pathlib.Path, work: pathlib.Path) -> None:
    """Brings an exported pipeline's tokenizer and autoencoder into the work folder."""
    shutil.copytree(exported / "tokenizer", work / "tokenizer", dirs_exist_ok=True)
    vae = AutoencoderKL.from_pretrained(exported / "vae", dtype=torch.float32)
    save_atomically(work / "vae.pt", {"ema": vae.state_dict()})


def make_flow(work: pathlib.Path) -> Flow:
    return Flow(load_tokenizer(work / "tokenizer", CONFIG.max_tokens))


def prepare(args: argparse.Namespace, device: torch.device) -> tuple[State, Objective]:
    """The state to go on from and what to train it on."""
    if args.start and not (args.work / "vae.pt").exists():
        take_over(args.start, args.work)
    tokenizer = load_tokenizer(args.work / "tokenizer", CONFIG.max_tokens)
    vae = load_vae(args.work / "vae.pt", device)
    data = load_latents(args.work, args.shards, vae, tokenizer, device)
    sample = data.latents.float()
    model = make_flow(args.work).to(device).train()
    state = State(
        model,
        MuonAdam([model], args.rate, MOMENTUM_WITH_HELPER if args.helper else MOMENTUM),
        Average(dict(model.named_parameters()), DECAY),
        shift=sample.mean().item(),
        scale=1 / sample.std().item(),
    )
    if (args.work / "flow.pt").exists():
        state.load(args.work / "flow.pt")
    elif args.start:
        state.shift, state.scale = model.load_pipeline(args.start)
    empty = tokenise(tokenizer, [""])[0]
    batches = Batches(((sample - state.shift) * state.scale).half(), data.ids, empty)
    count = args.batch or (512 if device.type == "cuda" else 24 if args.helper else 48)
    return state, Objective(batches, count, device)


def train(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    state, objective = prepare(args, torch.device(args.device))
    torch.manual_seed(args.seed + state.step)
    helper = None
    if args.helper:
        torch.set_num_threads(1)
        seed = args.seed + state.step + 1
        make_model = functools.partial(make_flow, args.work)
        helper = GradientHelper(state.model, make_model, objective, seed, args.compile)
    if args.compile:
        state.model.compile(dynamic=False)
    try:
        run(state, objective, args.work / "flow.pt", Budget(args.minutes, state.spent), helper)
    finally:
        if helper:
            helper.close()


def run(
    state: State, objective: Objective, path: pathlib.Path, budget: Budget, helper: GradientHelper | None
) -> None:
    parameters = dict(state.model.named_parameters())
    logging, saving = Every(30), Every(150)
    samples, loss_sum = 0, 0.0
    while (progress := budget.progress) < 1:
        state.optimizer.scale_rates(rate_factor(progress, hold=HOLD))
        loss, count = objective(state.model)
        loss.backward()
        helped, helped_loss = helper.merge(count) if helper else (0, 0.0)
        torch.nn.utils.clip_grad_norm_(state.optimizer.adam_parameters, 1.0, foreach=True)
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.average.update(parameters)
        state.step += 1
        state.seen += count + helped
        state.spent = budget.spent
        samples += count + helped
        loss_sum += loss.item() * count + helped_loss
        if logging.due():
            mean = loss_sum / samples
            if not math.isfinite(mean):
                raise FloatingPointError(f"loss {mean} at step {state.step}; lower --rate")
            log(f"flow: step {state.step}, {state.seen} samples, {100 * progress:.1f} %, loss {mean:.4f}")
            samples, loss_sum = 0, 0.0
        if saving.due():
            state.save(path)
    state.save(path)
    log(f"flow: done at step {state.step}, {state.seen} samples")


def main() -> None:
    parser = common_arguments(__doc__, minutes=95)
    parser.add_argument("--from", dest="start", type=pathlib.Path, help="exported pipeline to begin from")
    parser.add_argument("--rate", type=float, default=MUON_RATE)
    parser.add_argument("--shards", type=int, default=8, help="training scenes, in parts of 4000")
    parser.add_argument("--compile", action="store_true", help="five times as fast; needs a C++ compiler")
    parser.add_argument(
        "--helper", action="store_true", help="two processes, on CPUs that others use as well"
    )
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    train(args)


if __name__ == "__main__":
    main()
