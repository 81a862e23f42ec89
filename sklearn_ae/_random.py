"""Random numbers: states and seeds of a fit, and torch's global generators."""

import os
from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch
from sklearn.utils import check_random_state

GLOBAL_GENERATORS = RLock()  # held while torch's global generators are seeded for one fit


def renew_after_fork():
    """Replace the lock, which a thread of the parent may hold that a forked process lacks."""
    global GLOBAL_GENERATORS
    GLOBAL_GENERATORS = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_after_fork)


def make_random_state(random_state):
    """Return a RandomState that is never NumPy's global one."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def draw_seed(random_state):
    """Draw a seed."""
    return int(random_state.randint(np.iinfo(np.int32).max))


def draw_generator(random_state, device="cpu"):
    """Return a generator of torch with a seed that is drawn."""
    return torch.Generator(device).manual_seed(draw_seed(random_state))


@contextmanager
def seed_torch(generator, device="cpu", rank=0):
    """Seed torch's global generators from `generator` in the block, and restore them afterwards.

    Each rank gets a seed of its own. The lock lets one thread at a time use these generators.
    """
    device = torch.device(device)
    on_cuda = device.type == "cuda"
    seed = int(torch.randint(2**31, (), generator=generator)) + rank
    with GLOBAL_GENERATORS, torch.random.fork_rng([device] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
