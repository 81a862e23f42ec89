"""An exported model computes what the estimator does."""

import builtins
import copy
import io
import logging
import os
import stat
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from zoo import ESTIMATORS, make_estimator

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.export import to_onnx

X = load_digits().data[:200] / 16
KWARGS = {"max_epochs": 2, "random_state": 0}
METHODS = {"encoder": "transform", "decoder": "inverse_transform", "reconstruct": "reconstruct"}


def run(model, rows):
    """Return what a model, a path or the bytes of one, makes of rows."""
    session = onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model))
    (inputs,) = session.get_inputs()
    (output,) = session.run(None, {inputs.name: rows})
    return output


# what has no module that no other has; the clipped ends are tested by themselves
ALIKE = {"textbook", "clipped", "denoising", "variational bits", "denoising, convolutional"}


# an export takes a second: parts by themselves only of what differs at their ends
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part", "dtype"),
    [
        *((name, "reconstruct", np.float64) for name in ESTIMATORS if name not in ALIKE),
        ("linear start", "reconstruct", np.float32),
        *(("clipped", part, np.float64) for part in ("encoder", "decoder")),
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


@pytest.fixture(scope="module")
def fitted():
    return AutoencoderTransformer(4, max_epochs=1, random_state=0).fit(X)


def export(estimator, part="encoder", dtype=None):
    """Return the bytes of an exported model."""
    buffer = io.BytesIO()
    assert to_onnx(estimator, buffer, part, dtype) is None
    return buffer.getvalue()


# networks compute in float32 whatever the dtype of the rows: these differ outside of them
UNLIKE_ENDS = ["linear start", "clipped", "cross-entropy", "variational"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part", "fitted_dtype", "dtype"),
    [
        *((name, "reconstruct", np.float64, "float32") for name in UNLIKE_ENDS),
        ("cross-entropy", "reconstruct", np.float32, "float64"),
        ("clipped", "encoder", np.float64, "float32"),
        ("clipped", "decoder", np.float32, "float64"),
    ],
)
def test_rows_in_the_other_dtype(name, part, fitted_dtype, dtype):
    estimator = make_estimator(name, n_components=8, max_epochs=1).fit(X.astype(fitted_dtype))
    given = estimator.transform(X) if part == "decoder" else X.astype(dtype)
    output = run(export(estimator, part, dtype), given)
    assert output.dtype == (np.float32 if part == "encoder" else dtype)
    assert_allclose(output, getattr(estimator, METHODS[part])(given), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("fitted_dtype", [np.float32, np.float64])
def test_estimators_fitted_on_sparse_rows(fitted_dtype):
    rows = np.where(X > 0.9, X, 0)
    table = sparse.csr_array(rows.astype(fitted_dtype))
    estimator = AutoencoderTransformer(4, **KWARGS).fit(table)
    codes = run(export(estimator, "encoder", np.float64), rows)
    assert_allclose(codes, estimator.transform(table), atol=1e-5)
    restored = run(export(estimator, "reconstruct"), table.toarray())
    assert_allclose(restored, estimator.reconstruct(table), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.dtype("float32"), float])
def test_dtype_is_any_name_of_it(fitted, dtype):
    rows = X.astype(dtype)
    assert_allclose(run(export(fitted, dtype=dtype), rows), fitted.transform(rows), atol=1e-5)


def test_float32_has_no_room_for_large_offsets():
    far = AutoencoderTransformer(4, max_epochs=0).fit(X + 1e4)
    codes = run(export(far, dtype="float32"), (X + 1e4).astype(np.float32))
    error = np.abs(codes - far.transform(X + 1e4)).max()
    assert 1e-5 < error < 0.1


@pytest.mark.parametrize("dtype", ["float16", "int64", "single precision", ">f4", object()])
def test_other_dtypes_are_refused(fitted, dtype):
    with pytest.raises(ValueError, match="dtype must be None, 'float32' or 'float64'"):
        to_onnx(fitted, io.BytesIO(), dtype=dtype)


def test_paths_get_the_bytes_of_file_objects(fitted, tmp_path):
    expected = export(fitted)
    for path in (tmp_path / "path.onnx", str(tmp_path / "str.onnx")):
        to_onnx(fitted, path)
        with open(path, "rb") as file:
            assert file.read() == expected
    assert sorted(os.listdir(tmp_path)) == ["path.onnx", "str.onnx"]
    assert_allclose(run(expected, X), fitted.transform(X), atol=1e-5)


@pytest.mark.parametrize(
    "open_file",
    [
        lambda: open("model.onnx", "w+b"),  # noqa: SIM115
        tempfile.TemporaryFile,
        tempfile.NamedTemporaryFile,
        tempfile.SpooledTemporaryFile,
    ],
    ids=["open", "TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile"],
)
def test_file_objects_are_written_where_they_stand(fitted, tmp_path, monkeypatch, open_file):
    monkeypatch.chdir(tmp_path)
    with open_file() as file:
        file.write(b"before")
        to_onnx(fitted, file)
        file.seek(0)
        assert file.read(6) == b"before"
        assert_allclose(run(file.read(), X), fitted.transform(X), atol=1e-5)


def refuse_to_export(*args, **kwargs):
    raise AssertionError("the export has begun")


@pytest.mark.parametrize("path", [None, 3, b"model.onnx", io.StringIO(), io.BytesIO, print])
def test_what_takes_no_bytes_is_refused_before_the_export(fitted, path, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", refuse_to_export)
    with pytest.raises(TypeError, match="path must be a str, a path-like object, or a file that"):
        to_onnx(fitted, path)


def test_text_files_and_folders_are_refused_before_the_export(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", refuse_to_export)
    with (
        open(tmp_path / "text.onnx", "w") as file,
        pytest.raises(TypeError, match=r"open for writing bytes, such as io.BytesIO\(\)"),
    ):
        to_onnx(fitted, file)
    with pytest.raises(
        FileNotFoundError, match=r"There is no folder .*nowhere to write model.onnx"
    ):
        to_onnx(fitted, tmp_path / "nowhere" / "model.onnx")
    with pytest.raises(IsADirectoryError, match="path must be a file"):
        to_onnx(fitted, tmp_path)
    large = copy.deepcopy(fitted)
    weights = torch.zeros(1).expand(2**29)  # 2 GB that need no memory
    large.encoder_.weights = torch.nn.Parameter(weights, requires_grad=False)
    with pytest.raises(ValueError, match="too many for one file"):
        to_onnx(large, io.BytesIO())


def test_failure_leaves_what_was_there(fitted, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    for before in ([], ["model.onnx"]):
        with monkeypatch.context() as patch:

            def write_half(program, path):
                with open(path, "wb") as file:
                    file.write(b"half")
                raise OSError("The disk is full.")

            patch.setattr(torch.onnx.ONNXProgram, "save", write_half)
            with pytest.raises(OSError, match="disk is full"):
                to_onnx(fitted, path)
        assert os.listdir(tmp_path) == before
        path.write_bytes(b"an earlier model")


def test_links_pipes_and_rights(fitted, tmp_path):
    path, link = tmp_path / "model.onnx", tmp_path / "link.onnx"
    link.symlink_to(path)
    to_onnx(fitted, link)
    assert link.is_symlink()
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
    to_onnx(fitted, os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_torchs_exporter_logs_nothing(fitted, caplog, capfd):
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    export(fitted)
    assert logger.level == level
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert capfd.readouterr() == ("", "")


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


def test_warning_that_missing_values_are_not_filled(tmp_path):
    rows = X.copy()
    rows[::7, 20] = np.nan
    estimator = AutoencoderTransformer(4, **KWARGS).fit(rows)
    with pytest.warns(UserWarning, match="the exported model does not") as caught:
        to_onnx(estimator, tmp_path / "model.onnx")
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]
    is_whole = ~np.isnan(rows).any(axis=1)
    codes = run(tmp_path / "model.onnx", rows)
    assert_allclose(codes[is_whole], estimator.transform(rows)[is_whole], rtol=1e-5, atol=1e-5)
    assert np.isnan(codes[~is_whole]).all()


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
