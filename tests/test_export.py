"""An exported model computes what the estimator does."""

import builtins

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from zoo import ESTIMATORS, make_estimator

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.export import to_onnx

X = load_digits().data[:200] / 16
KWARGS = {"max_epochs": 2, "random_state": 0}
METHODS = {"encoder": "transform", "decoder": "inverse_transform", "reconstruct": "reconstruct"}


def run(path, rows):
    session = onnxruntime.InferenceSession(str(path))
    (inputs,) = session.get_inputs()
    (output,) = session.run(None, {inputs.name: rows})
    return output


# an export takes a second: parts by themselves only of what differs at their ends
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part", "dtype"),
    [
        *((name, "reconstruct", np.float64) for name in ESTIMATORS),
        ("linear start", "reconstruct", np.float32),
        *(
            (name, part, np.float64)
            for name in ("clipped", "cross-entropy", "convolutional")
            for part in ("encoder", "decoder")
        ),
    ],
)
def test_exported_parts_are_those_of_the_estimator(tmp_path, name, part, dtype):
    rows = X.astype(dtype)
    estimator = make_estimator(name, n_components=8).fit(rows)
    to_onnx(estimator, tmp_path / "model.onnx", part)
    given = estimator.transform(rows) if part == "decoder" else rows
    for n_rows in (200, 1, 7):
        expected = getattr(estimator, METHODS[part])(given[:n_rows])
        output = run(tmp_path / "model.onnx", given[:n_rows])
        assert output.dtype == expected.dtype
        assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


def test_offsets_do_not_matter_in_float64(tmp_path):
    estimator = AutoencoderTransformer(4, **KWARGS).fit(X + 1e6)
    to_onnx(estimator, tmp_path / "model.onnx", "reconstruct")
    restored = run(tmp_path / "model.onnx", X + 1e6)
    assert_allclose(restored - 1e6, estimator.reconstruct(X + 1e6) - 1e6, atol=1e-5)


def test_estimator_is_not_changed(tmp_path):
    estimator = AutoencoderTransformer(4, **KWARGS).fit(X)
    module, codes = estimator.net_.module_, estimator.transform(X)
    to_onnx(estimator, tmp_path / "model.onnx")
    assert estimator.net_.module_ is module
    assert not module.training
    np.testing.assert_array_equal(estimator.transform(X), codes)


def test_what_cannot_be_exported(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    with pytest.raises(NotFittedError):
        to_onnx(AutoencoderTransformer(2), path)
    with pytest.raises(TypeError, match="must be an autoencoder of sklearn_ae"):
        to_onnx(PCA(2).fit(X), path)
    fitted = AutoencoderTransformer(2, **KWARGS).fit(X)
    with pytest.raises(ValueError, match="part must be one of"):
        to_onnx(fitted, path, "decode")
    found = builtins.__import__

    def without_onnx(name, *args, **kwargs):
        if name == "onnxscript":
            raise ImportError(name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_onnx)
    with pytest.raises(ImportError, match=r"sklearn-ae\[onnx\]"):
        to_onnx(fitted, path)
    assert not path.exists()
