"""Make the small packages of tests/data/packages that the Swift tests run. Needs coremltools; deterministic.

    python tests/data/scripts/make_swift_fixtures.py [tests/data/packages]

| package       | inputs                                    | outputs                                        |
|---------------|-------------------------------------------|------------------------------------------------|
| linear        | x float32 [2, 3]                          | y = x·Wᵀ + b, float32 [2, 4]                   |
| add           | a, b float32 [2, 3]                       | sum float32 [2, 3]                             |
| half          | x float16 [2, 4]                          | y = 2x + 1, float16 [2, 4]                     |
| integer       | ids int32 [1, 5]                          | doubled int32 [1, 5]                           |
| multi_output  | x float32 [2, 3]                          | negated, squared [2, 3], total [2]; this order |
| two_functions | x float32 [2, 3]; functions twice, thrice | y = 2x or 3x; the default function is twice    |
| ranges        | x float32 [1 to 4, 3], default [2, 3]     | doubled, of x's shape                          |
| enumerated    | x float32 [2, 3] or [4, 3]                | doubled, of x's shape                          |
| stateful      | x float16 [2]; state total float16 [2]    | y = total + x                                  |
| image_rgb     | x image 6 wide, 4 high, RGB               | y = x, the program's channel 0 halved; image   |
| image_bgr     | the same in BGR                           | the same, so blue is halved                    |
| image_gray    | x image, gray                             | y = x / 2, image                               |
| image_half    | x image, gray in float16                  | y = x / 2, image                               |
| image_range   | x image 3 to 9 wide, 2 to 8 high, RGB     | y = x, channel 0 halved; image                 |
| image_sizes   | x image 6 × 4 or 3 × 2, RGB               | y = x, channel 0 halved; image                 |
| image_scaled  | x image 6 × 4, BGR, scale 0.5, bias 1 2 3 | y float32 [1, 3, 4, 6] = x / 2 + bias          |
| texts         | x float32 [1, 3]                          | classifier of cat, dog, owl by x / sum(x)      |
| integers      | x float32 [1, 3]                          | classifier of 70, 40, 90 by x / sum(x)         |
| colors        | x image 6 × 4, RGB                        | classifier of red, green, blue by their means  |
| decoder       | x float16 [1, 2], position int32 [1];     | y float16 [1, 2]: the sum of the rows written; |
|               | state cache float16 [4, 2]                | row `position` of the cache becomes x          |
| truncated     | linear with half of its weight.bin        | refused                                        |
| damaged       | linear with a cut model.mlmodel           | refused                                        |

W[i][j] = (3i + j) / 10 and b[i] = i, so that a test can say what it expects.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813
from coremltools.converters.mil.mil import get_new_symbol, types
from coremltools.proto import Model_pb2

TARGET = ct.target.iOS16
IDENTIFIERS = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002")


def save(program, path, precision=ct.precision.FLOAT32, target=TARGET, **options):
    """Convert a MIL program and write it without random identifiers."""
    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=target,
        compute_precision=precision,
        skip_model_load=True,
        **options,
    )
    model.short_description = "Fixture of the Swift tests"
    model.author = "Tintype"
    shutil.rmtree(path, ignore_errors=True)
    model.save(str(path))
    make_reproducible(path)


def make_reproducible(path):
    """Fixed identifiers, no date, sorted maps: the same input must give the same bytes."""
    file = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
    specification = Model_pb2.Model.FromString(file.read_bytes())
    specification.description.metadata.userDefined.pop("com.github.apple.coremltools.conversion_date", None)
    file.write_bytes(specification.SerializeToString(deterministic=True))
    file.chmod(0o644)
    manifest = json.loads((path / "Manifest.json").read_text())
    entries = sorted(manifest["itemInfoEntries"].items(), key=lambda entry: entry[1]["path"])
    names = dict(zip((key for key, _ in entries), IDENTIFIERS, strict=False))
    manifest["itemInfoEntries"] = {names[key]: value for key, value in entries}
    manifest["rootModelIdentifier"] = names[manifest["rootModelIdentifier"]]
    (path / "Manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def linear_program():
    @mb.program(input_specs=[mb.TensorSpec((2, 3))], opset_version=TARGET)
    def program(x):
        weight = ((3 * np.arange(4)[:, None] + np.arange(3)[None, :]) / 10).astype(np.float32)
        return mb.linear(x=x, weight=weight, bias=np.arange(4, dtype=np.float32), name="y")

    return program


def add_program():
    @mb.program(input_specs=[mb.TensorSpec((2, 3)), mb.TensorSpec((2, 3))], opset_version=TARGET)
    def program(a, b):
        return mb.add(x=a, y=b, name="sum")

    return program


def half_program():
    @mb.program(input_specs=[mb.TensorSpec((2, 4), dtype=types.fp16)], opset_version=TARGET)
    def program(x):
        doubled = mb.mul(x=x, y=np.float16(2))
        return mb.add(x=doubled, y=np.float16(1), name="y")

    return program


def integer_program():
    @mb.program(input_specs=[mb.TensorSpec((1, 5), dtype=types.int32)], opset_version=TARGET)
    def program(ids):
        return mb.add(x=ids, y=ids, name="doubled")

    return program


def multi_output_program():
    @mb.program(input_specs=[mb.TensorSpec((2, 3))], opset_version=TARGET)
    def program(x):
        negated = mb.mul(x=x, y=np.float32(-1), name="negated")
        squared = mb.mul(x=x, y=x, name="squared")
        total = mb.reduce_sum(x=x, axes=[1], keep_dims=False, name="total")
        return negated, squared, total

    return program


def scale_program(factor):
    @mb.program(input_specs=[mb.TensorSpec((2, 3))], opset_version=ct.target.iOS18)
    def program(x):
        return mb.mul(x=x, y=np.float32(factor), name="y")

    return program


def flexible_program():
    @mb.program(input_specs=[mb.TensorSpec((get_new_symbol(), 3))], opset_version=TARGET)
    def program(x):
        return mb.add(x=x, y=x, name="doubled")

    return program


def stateful_program():
    specs = [mb.TensorSpec((2,), dtype=types.fp16), mb.StateTensorSpec((2,), dtype=types.fp16)]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS18)
    def program(x, total):
        return mb.add(x=mb.read_state(input=total), y=mb.identity(x=x), name="y")

    return program


def decoder_program():
    specs = [
        mb.TensorSpec((1, 2), dtype=types.fp16),
        mb.TensorSpec((1,), dtype=types.int32),
        mb.StateTensorSpec((4, 2), dtype=types.fp16),
    ]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS18)
    def program(x, position, cache):
        column = np.array([0], np.int32)
        begin = mb.concat(values=[position, column], axis=0)
        end = mb.concat(values=[mb.add(x=position, y=np.int32(1)), column + np.int32(2)], axis=0)
        written = mb.slice_update(x=mb.read_state(input=cache), update=x, begin=begin, end=end)
        rows = mb.coreml_update_state(state=cache, value=written)
        return mb.reduce_sum(x=rows, axes=[0], keep_dims=True, name="y")

    return program


def shares(x, axes):
    return mb.real_div(x=x, y=mb.reduce_sum(x=x, axes=axes, keep_dims=True))


def classifier_program():
    @mb.program(input_specs=[mb.TensorSpec((1, 3))], opset_version=ct.target.iOS17)
    def program(x):
        return shares(x, [1])

    return program


def color_program():
    @mb.program(input_specs=[mb.TensorSpec((1, 3, 4, 6))], opset_version=ct.target.iOS17)
    def program(x):
        return shares(mb.reduce_mean(x=x, axes=[2, 3], keep_dims=False), [1])

    return program


def save_classifiers(target):
    options = {"target": ct.target.iOS17}
    for name, labels in (("texts", ["cat", "dog", "owl"]), ("integers", [70, 40, 90])):
        path = target / f"{name}.mlpackage"
        save(classifier_program(), path, classifier_config=ct.ClassifierConfig(labels), **options)
    image = ct.ImageType("x", (1, 3, 4, 6), color_layout=ct.colorlayout.RGB)
    labels = ct.ClassifierConfig(["red", "green", "blue"], predicted_feature_name="color")
    save(color_program(), target / "colors.mlpackage", inputs=[image], classifier_config=labels, **options)


def image_program(channels, height, width, factor=0.5):
    """The program behind an image: channel 0 multiplied by `factor`."""
    factors = np.ones((1, channels, 1, 1), np.float32)
    factors[0, 0] = factor

    @mb.program(input_specs=[mb.TensorSpec((1, channels, height, width))], opset_version=TARGET)
    def program(x):
        return mb.mul(x=x, y=factors, name="y")

    return program


def save_image(path, layout, sizes=None):
    """A package that takes an image and gives one; coremltools gives images only where it traces a model."""
    channels = 3 if layout in ("RGB", "BGR") else 1
    sides = (get_new_symbol(), get_new_symbol()) if sizes else (4, 6)
    image = ct.ImageType("x", sizes or (1, channels, *sides), color_layout=getattr(ct.colorlayout, layout))
    save(image_program(channels, *sides), path, inputs=[image])
    file = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
    specification = Model_pb2.Model.FromString(file.read_bytes())
    description = specification.description
    description.output[0].type.imageType.CopyFrom(description.input[0].type.imageType)
    file.write_bytes(specification.SerializeToString(deterministic=True))


def save_images(target):
    for name, layout in (("rgb", "RGB"), ("bgr", "BGR"), ("gray", "GRAYSCALE"), ("half", "GRAYSCALE_FLOAT16")):
        save_image(target / f"image_{name}.mlpackage", layout)
    height, width = ct.RangeDim(2, 8, default=4), ct.RangeDim(3, 9, default=6)
    save_image(target / "image_range.mlpackage", "RGB", ct.Shape((1, 3, height, width)))
    shapes = ct.EnumeratedShapes([(1, 3, 4, 6), (1, 3, 2, 3)], default=(1, 3, 4, 6))
    save_image(target / "image_sizes.mlpackage", "RGB", shapes)
    image = ct.ImageType("x", (1, 3, 4, 6), scale=0.5, bias=[1, 2, 3], color_layout=ct.colorlayout.BGR)
    save(image_program(3, 4, 6, factor=1), target / "image_scaled.mlpackage", inputs=[image])


def two_functions(path):
    with tempfile.TemporaryDirectory() as folder:
        descriptor = ct.utils.MultiFunctionDescriptor()
        for name, factor in (("twice", 2), ("thrice", 3)):
            part = Path(folder) / f"{name}.mlpackage"
            save(scale_program(factor), part, target=ct.target.iOS18)
            descriptor.add_function(str(part), src_function_name="main", target_function_name=name)
        descriptor.default_function_name = "twice"
        shutil.rmtree(path, ignore_errors=True)
        ct.utils.save_multifunction(descriptor, str(path))
    make_reproducible(path)


def broken(source, path, file, keep):
    """A copy whose `file` ends after the share `keep` of its bytes."""
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(source, path)
    victim = path / "Data" / "com.apple.CoreML" / file
    content = victim.read_bytes()
    victim.write_bytes(content[: int(len(content) * keep)])


def main():
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "packages")
    target.mkdir(parents=True, exist_ok=True)
    save(linear_program(), target / "linear.mlpackage")
    save(add_program(), target / "add.mlpackage")
    save(half_program(), target / "half.mlpackage", precision=ct.precision.FLOAT16)
    save(integer_program(), target / "integer.mlpackage")
    save(multi_output_program(), target / "multi_output.mlpackage")
    two_functions(target / "two_functions.mlpackage")
    rows = ct.RangeDim(lower_bound=1, upper_bound=4, default=2)
    save(
        flexible_program(),
        target / "ranges.mlpackage",
        inputs=[ct.TensorType(name="x", shape=ct.Shape((rows, 3)))],
    )
    shapes = ct.EnumeratedShapes(shapes=[(2, 3), (4, 3)], default=(2, 3))
    save(flexible_program(), target / "enumerated.mlpackage", inputs=[ct.TensorType(name="x", shape=shapes)])
    save(stateful_program(), target / "stateful.mlpackage", precision=ct.precision.FLOAT16, target=ct.target.iOS18)
    save(decoder_program(), target / "decoder.mlpackage", precision=ct.precision.FLOAT16, target=ct.target.iOS18)
    save_images(target)
    save_classifiers(target)
    broken(target / "linear.mlpackage", target / "truncated.mlpackage", "weights/weight.bin", 0.5)
    broken(target / "linear.mlpackage", target / "damaged.mlpackage", "model.mlmodel", 0.6)


if __name__ == "__main__":
    main()
