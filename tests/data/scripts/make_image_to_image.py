"""Record image-to-image and inpainting of diffusers on the tiny Stable Diffusion 3 reference.

Usage: python make_image_to_image.py ../sd3-medium-tiny ../image-to-image
Writes image.png and mask.png (inputs) and image_to_image.safetensors, inpainting.safetensors: the source's latents,
the noise of torch's CPU generator with seed 9 and the final latents. The encoder's mean is taken instead of a draw,
as Tintype does, so that the noise is the generator's first draw.
"""

import json
import pathlib
import sys

import diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3_img2img as img2img
import diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3_inpaint as inpaint
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

source, out = map(pathlib.Path, sys.argv[1:3])
out.mkdir(parents=True, exist_ok=True)
run = json.loads((source / "golden" / "generate.json").read_text())
latents = []


def mean(encoded, generator=None, sample_mode="sample"):
    latents.append(encoded.latent_dist.mode())
    return latents[-1]


img2img.retrieve_latents = inpaint.retrieve_latents = mean
y, x = np.mgrid[0 : run["height"], 0 : run["width"]]
pixels = np.stack([x * 2, y * 2, 255 - x], -1).astype(np.uint8)
pixels[40:90, 30:70] = (250, 20, 40)
Image.fromarray(pixels).save(out / "image.png")
# A multiple of the latent's 8 pixels, so that every way to shrink the mask agrees.
mask = np.zeros((run["height"], run["width"]), np.uint8)
mask[32:96, 48:120] = 255
Image.fromarray(mask).save(out / "mask.png")
image = Image.open(out / "image.png").convert("RGB")
mask_image = Image.open(out / "mask.png").convert("L")
common = dict(
    prompt=run["prompt"],
    negative_prompt=run["negative_prompt"],
    num_inference_steps=8,
    guidance_scale=run["guidance_scale"],
    max_sequence_length=run["t5_max_length"],
    output_type="latent",
)
for name, kind, strength, extra in (
    ("image_to_image", img2img.StableDiffusion3Img2ImgPipeline, 0.7, {}),
    ("inpainting", inpaint.StableDiffusion3InpaintPipeline, 0.6, {"mask_image": mask_image}),
):
    pipe = kind.from_pretrained(source)
    pipe.set_progress_bar_config(disable=True)
    if extra:
        extra |= {"height": run["height"], "width": run["width"]}
    latents.clear()
    final = pipe(image=image, strength=strength, generator=torch.Generator().manual_seed(9), **common, **extra).images
    shift, scale = pipe.vae.config.shift_factor, pipe.vae.config.scaling_factor
    noise = torch.randn(final.shape, generator=torch.Generator().manual_seed(9))
    rows = {"source": (latents[0] - shift) * scale, "noise": noise, "final_latent": final}
    save_file({k: v.detach().float().contiguous() for k, v in rows.items()}, out / f"{name}.safetensors")
