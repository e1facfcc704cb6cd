"""Features of timesteps, correctly rounded, and diffusers' own: `python make_sinusoid.py`.

mpmath computes what docs/bundle_format.md defines, in 60 digits, rounding where the definition rounds; the rows
are equal to the bit in both runtimes. PyTorch 2.13 and diffusers 0.42 made `diffusers`, which is float32's.
"""

from pathlib import Path

import mpmath
import numpy as np
import torch
from diffusers.models.embeddings import Timesteps
from safetensors.numpy import save_file

FILE = Path(__file__).resolve().parent.parent / "sinusoid.safetensors"
HALF = 128

#: The ends, what float16 has not, and a guidance scale of 3.5 as FLUX embeds it.
TIMESTEPS = (0, 0.125, 120.25, 512.3, 937.5, 999.75, 1000, 3500)


def rounded(value: mpmath.mpf) -> np.float32:
    """The nearest float32; all digits are there before it is rounded."""
    return np.float32(mpmath.nstr(value, 40))


def features(timestep: np.float32) -> np.ndarray:
    logarithm = rounded(-mpmath.log(10000))
    exponents = [logarithm * np.float32(i) / np.float32(HALF) for i in range(HALF)]
    frequencies = [rounded(mpmath.exp(mpmath.mpf(float(e)))) for e in exponents]
    angles = [mpmath.mpf(float(timestep * f)) for f in frequencies]
    return np.array([rounded(wave(a)) for wave in (mpmath.cos, mpmath.sin) for a in angles], np.float32)


def main() -> None:
    mpmath.mp.dps = 60
    timesteps = np.array(TIMESTEPS, np.float32)
    rows = np.stack([features(t) for t in timesteps])
    theirs = Timesteps(2 * HALF, flip_sin_to_cos=True, downscale_freq_shift=0)(torch.from_numpy(timesteps))
    save_file(
        {
            "timesteps": timesteps,
            "features": rows,
            "features_float16": rows.astype(np.float16),
            "diffusers": theirs.numpy(),
        },
        FILE,
    )


if __name__ == "__main__":
    main()
