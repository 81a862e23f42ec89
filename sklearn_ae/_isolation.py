"""What is global in torch: a context without the user's settings, seeds and generators."""

import os
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Lock, RLock

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.backends import cuda, mkldnn

# Process-wide settings on which results depend: how to read and to change them, the value that is
# set for the time of a block, and another that is as good. Precisions that are not set, "none",
# follow torch's global setting, and must do so again afterwards.
SETTINGS = [(torch.get_default_dtype, torch.set_default_dtype, torch.float32, torch.float32)]
for products in (mkldnn.matmul, mkldnn.conv, cuda.matmul):
    read, change = (partial(access, products, "fp32_precision") for access in (getattr, setattr))
    SETTINGS.append((read, change, "ieee", "none"))

IMPORTING_PROCESS = os.getpid()


class Shared:
    """The threads inside `isolate_torch`, and the settings from before the first one entered."""

    def __init__(self):
        self.lock, self.n_threads, self.before = Lock(), 0, []


SHARED = Shared()
# Held while torch's global generators are seeded for one fit. The same thread may take it again:
# a user's network or callback can itself fit an estimator.
GLOBAL_GENERATORS = RLock()


def renew_after_fork():
    """Forget the threads of the parent, which a forked process does not have, and their locks."""
    global SHARED, GLOBAL_GENERATORS
    inherited, SHARED, GLOBAL_GENERATORS = SHARED, Shared(), RLock()
    for (_, change, _, _), value in zip(SETTINGS, inherited.before, strict=False):
        change(value)
    # If the thread that forked is inside the block, it leaves it in the child, too, where there is
    # then nothing to restore.
    inherited.lock, inherited.before = Lock(), []


if os.name == "posix":
    os.register_at_fork(after_in_child=renew_after_fork)


@contextmanager
def isolate_torch():
    """Run the block in torch's default state, and leave the state of the user as it was.

    The state that counts is the default dtype, the default device, autocast, grad and inference
    mode, and the precision of float32 products. The number of threads and deterministic
    algorithms stay as the user has set them. A forked process computes with one thread: OpenMP's
    threads do not survive a fork, and libgomp would wait for them for ever.

    Default dtype and precision are settings of the whole process. Of several threads inside the
    block the first one changes them and the last one restores them, unless the user has set
    other values in between.
    """
    # All that changes or restores a setting stands in this one function: an interrupt as another
    # one is called, to restore them, would leave them changed.
    shared, has_entered = SHARED, False
    try:
        with shared.lock:
            shared.n_threads, has_entered = shared.n_threads + 1, True
            if shared.n_threads == 1:
                shared.before = [read() for read, _, _, _ in SETTINGS]
                for (_, change, ours, other), value in zip(SETTINGS, shared.before, strict=True):
                    if value not in (ours, other):
                        change(ours)
        with ExitStack() as stack:
            if torch.get_default_device() != torch.device("cpu"):
                stack.enter_context(torch.device("cpu"))
            for device in ("cpu", "cuda", "mps"):
                if torch.is_autocast_enabled(device):
                    stack.enter_context(torch.autocast(device, enabled=False))
            if torch.is_inference_mode_enabled():
                stack.enter_context(torch.inference_mode(False))
            if not torch.is_grad_enabled():
                stack.enter_context(torch.enable_grad())
            if os.getpid() != IMPORTING_PROCESS and torch.get_num_threads() > 1:
                stack.callback(torch.set_num_threads, torch.get_num_threads())
                torch.set_num_threads(1)
            yield
    finally:
        if has_entered:
            with shared.lock:
                shared.n_threads -= 1
                if not shared.n_threads:
                    settings = zip(SETTINGS, shared.before, strict=False)
                    for (read, change, ours, other), value in settings:
                        if value not in (ours, other) and read() == ours:
                            change(other)
                            if read() != value:
                                change(value)
                    shared.before = []


# ----------------------------------------------------------------------- random numbers


def make_random_state(random_state):
    """Return a RandomState that is never NumPy's global one."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def draw_seed(random_state):
    """Draw a seed, an int, from a RandomState."""
    return int(random_state.randint(np.iinfo(np.int32).max))


def draw_generator(random_state, device="cpu"):
    """Return a generator of torch whose seed is drawn from a RandomState."""
    return torch.Generator(device).manual_seed(draw_seed(random_state))


def draw_torch_seed(generator):
    """Draw a seed, an int, from a generator of torch."""
    return int(torch.randint(2**31, (), generator=generator))


@contextmanager
def seed_torch(seed, device="cpu"):
    """Seed torch's global generators in the block, and restore them afterwards.

    One thread at a time can be in the block.
    """
    device = torch.device(device)
    on_cuda = device.type == "cuda"
    with GLOBAL_GENERATORS, torch.random.fork_rng([device] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
