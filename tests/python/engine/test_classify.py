"""Classifiers: the label and the probabilities travel as tensors, the classes in the metadata."""

import numpy as np
import pytest

import tintype

from . import ctypes_api
from .programs import ct, mb


def classifier(path, labels):
    """A package that takes [1, 3] as probabilities of three classes."""

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3))], opset_version=ct.target.iOS17)
    def program(x):
        return mb.identity(x=x, name="probabilities")

    model = ct.convert(
        program, convert_to="mlprogram", skip_model_load=True, minimum_deployment_target=ct.target.iOS17,
        classifier_config=ct.ClassifierConfig(labels), compute_precision=ct.precision.FLOAT32,
    )  # fmt: skip
    model.save(str(path))
    return path


X = np.array([[0.25, 0.5, 0.25]], np.float32)


@pytest.mark.parametrize(
    ("labels", "best"), [(["cat", "dog", "owl"], 1), ([70, 40, 90], 40)], ids=["texts", "integers"]
)
def test_label_and_probabilities(tmp_path, labels, best):
    model = ctypes_api.Model(classifier(tmp_path / "net.mlpackage", labels))
    assert model.features(ctypes_api.OUTPUT) == {
        "classLabel": (np.dtype(np.int64), (), False),
        "classLabel_probs": (np.dtype(np.float32), (3,), False),
    }
    outputs = model.predict({"x": X})
    assert outputs["classLabel"] == best
    np.testing.assert_array_equal(outputs["classLabel_probs"], X[0])
    described = model.metadata["functions"]["main"]
    assert described["ops"]["classify"] == 1
    assert described["classifier"] == {
        "label": "classLabel", "probabilities": "classLabel_probs", "classes": labels,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "best"), [(["cat", "dog", "owl"], "dog"), ([70, 40, 90], 40)], ids=["texts", "integers"]
)
@pytest.mark.parametrize("backend", ["mlx", "coreml"])
def test_python_gives_the_label_itself(tmp_path, request, labels, best, backend):
    if backend == "coreml":
        request.getfixturevalue("swift_runtime")
    with tintype.load_model(classifier(tmp_path / "net.mlpackage", labels), backend=backend) as model:
        assert model.class_labels == tuple(labels)
        outputs = model.predict({"x": X})
        assert outputs["classLabel"].item() == best
        assert dict(zip(model.class_labels, outputs["classLabel_probs"].tolist(), strict=True)) == dict(
            zip(labels, X[0].tolist(), strict=True)
        )


def test_a_model_that_classifies_nothing_has_no_labels(tmp_path):
    @mb.program(input_specs=[mb.TensorSpec(shape=(2,))], opset_version=ct.target.iOS17)
    def program(x):
        return mb.relu(x=x)

    model = ct.convert(program, convert_to="mlprogram", skip_model_load=True)
    model.save(str(tmp_path / "net.mlpackage"))
    with tintype.load_model(tmp_path / "net.mlpackage", backend="mlx") as model:
        assert model.class_labels is None
