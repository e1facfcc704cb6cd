"""Runs any .mlpackage on random inputs of the described shapes and prints what comes out.

Usage: python run_any_package.py MODEL.mlpackage [coreml | mlx | auto]
"""

import sys

import numpy as np

import tintype

with tintype.load_model(sys.argv[1], backend=sys.argv[2] if len(sys.argv) > 2 else "auto") as model:
    print(f"on {model.backend}: {model.reason}")
    generator = np.random.default_rng(0)
    inputs = {i.name: generator.standard_normal(i.shape).astype(i.dtype) for i in model.inputs}
    for name, value in model.predict(inputs).items():
        print(f"{name}: {value.dtype} {value.shape}, mean {value.mean():.4g}")
