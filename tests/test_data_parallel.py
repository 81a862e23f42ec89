"""What several processes fit together is what one fits, and the same on all of them."""

import copy
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fit_on_ranks import (
    CASES,
    GROUPS,
    HELD_OUT,
    LONG,
    LONGER,
    PARAMS,
    SPARSE,
    TRAINED,
    X,
    fit_longer,
)
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder

pytestmark = pytest.mark.slow  # two processes

FURTHER = ["groups", "held out", "sparse", "chunks", "frozen", "unalike", "continued"]
SCRIPT = Path(__file__).with_name("fit_on_ranks.py")


FOR_RANKS = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}  # gloo, whatever is there


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What the ranks printed, their exit statuses and folder, after the second died at the end.

    They are started without torchrun, which would end the first before it can tell of its error.
    """
    folder = tmp_path_factory.mktemp("ranks")
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder), "dies"],
            env={**os.environ, **group, **FOR_RANKS, "RANK": str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (0, 1)
    ]
    try:
        printed = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert (folder / "rank 1.pickle").exists(), printed
    return [output for output, _ in printed], [p.returncode for p in processes], folder


@pytest.fixture(scope="module")
def ranks(run):
    """What both ranks found."""
    return [pickle.loads((run[-1] / f"rank {number}.pickle").read_bytes()) for number in (0, 1)]


def weights(estimator):
    return {name: w.cpu().numpy() for name, w in estimator.net_.module_.state_dict().items()}


@pytest.mark.parametrize("name", [*CASES, *FURTHER])
def test_all_ranks_end_with_the_same(ranks, name):
    first, second = (rank["fitted"][name] for rank in ranks)
    for key, value in weights(first).items():
        assert_array_equal(weights(second)[key], value)
    for attribute in ("loss_curve_", "validation_loss_curve_", "best_epoch_", "n_iter_", "mean_"):
        assert_array_equal(getattr(first, attribute), getattr(second, attribute))
    assert_array_equal(first.transform(X), second.transform(X))


DRAW_ALIKE = [
    name for name in CASES if "denoising" not in name and name not in ("no seed", "draws")
]


@pytest.mark.parametrize("name", [*DRAW_ALIKE, "groups", "held out", "sparse", "longer"])
def test_two_ranks_do_what_one_process_does(ranks, name):
    judged = AutoencoderTransformer(4, **TRAINED | {"early_stopping": True})
    if name == "sparse":
        alone = AutoencoderTransformer(4, **TRAINED).fit(SPARSE)
    elif name == "groups":
        alone = judged.fit(X, groups=GROUPS)
    elif name == "held out":
        alone = judged.fit(X, X_val=HELD_OUT)
    elif name == "longer":
        alone, _ = fit_longer()
    else:
        alone = copy.deepcopy(CASES[name]).fit(X)
    together = ranks[0]["fitted"][name]
    largest = max(np.abs(w).max() for w in weights(alone).values())
    for key, value in weights(alone).items():
        assert_allclose(weights(together)[key], value, rtol=0, atol=1e-4 * largest, err_msg=key)
    for curve in ("loss_curve_", "validation_loss_curve_"):
        if getattr(alone, curve) is not None:
            assert_allclose(getattr(together, curve), getattr(alone, curve), rtol=1e-4)
    assert together.best_epoch_ == alone.best_epoch_
    assert together.n_iter_ == alone.n_iter_


def test_ranks_corrupt_their_own_rows_anew(ranks):
    alone, together = DenoisingAutoencoder(4, **PARAMS).fit(X), ranks[0]["fitted"]["denoising"]
    assert_allclose(together.score(X), alone.score(X), atol=0.01)


def test_a_rank_reads_its_share(ranks):
    read = [rank["read"][False] for rank in ranks]
    assert read[0] == set(range(len(LONG)))  # the first computes the start, too
    assert len(read[1]) < 0.6 * len(LONG)
    # but for the few that tell whether all ranks have the same X
    assert sum(row < 0.4 * len(LONG) for row in read[1]) <= 16
    assert len(ranks[1]["read"][True]) < 0.7 * len(LONG)


def test_ranks_that_draw_in_the_start_still_divide_the_rows(ranks):
    first, second = (rank["read of longer"] for rank in ranks)
    assert first == set(range(len(LONGER)))
    assert len(second) < 0.6 * len(LONGER)


def test_errors_come_from_all_ranks(ranks):
    for rank in ranks:
        nan, factory, unlike, unlike_held_out = rank["errors"]
        assert "the same X_val on all ranks" in unlike_held_out
        assert "the same X on all ranks" in unlike
        assert "is NaN" in nan
        assert "ZeroDivisionError" in factory


def test_the_first_rank_prints_and_writes(run):
    outputs, _, folder = run
    assert outputs[0].count("train_loss") == len(CASES) + 2  # two of chunks, one of them loaded
    assert "train_loss" not in outputs[1]
    assert (folder / "params.pt").exists()


def test_a_rank_that_dies_ends_the_others(run):
    _, statuses, folder = run
    assert statuses == [1, 1]
    assert (folder / "survivor.txt").read_text()
    fitted = AutoencoderTransformer(4, **PARAMS).fit(X)
    state = torch.load(folder / "params.pt", weights_only=True)
    assert state.keys() == fitted.net_.module_.state_dict().keys()


def test_without_a_group_it_is_an_error():
    with pytest.raises(ValueError, match=r"torchrun.*init_process_group"):
        AutoencoderTransformer(4, data_parallel=True).fit(X)
