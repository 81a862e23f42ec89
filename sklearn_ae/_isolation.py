"""One context in which results do not depend on the state that a user has given torch."""

import os
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Lock

import torch

# Process-wide settings on which results depend: how to read and set them, the values that are
# fine, the first of which is set, and the value that stands for "not set", if there is one.
SETTINGS = [
    (torch.get_default_dtype, torch.set_default_dtype, (torch.float32,), None),
    *(
        (
            partial(getattr, products, "fp32_precision"),
            partial(setattr, products, "fp32_precision"),
            ("ieee", "none"),
            "none",
        )
        for products in (
            torch.backends.mkldnn.matmul,
            torch.backends.mkldnn.conv,
            torch.backends.cuda.matmul,
        )
    ),
]

IMPORTING_PROCESS = os.getpid()


class Shared:
    """The threads inside `isolate_torch`, and the settings from before the first one entered."""

    def __init__(self):
        self.lock = Lock()
        self.n_threads = 0
        self.before = []


SHARED = Shared()


def renew_after_fork():
    """Forget the threads of the parent, which a forked process does not have."""
    global SHARED
    inherited, SHARED = SHARED, Shared()
    for (_, change, _, _), value in zip(SETTINGS, inherited.before, strict=False):
        change(value)
    inherited.lock, inherited.before = Lock(), []


if hasattr(os, "register_at_fork"):
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
                for (_, change, fine, _), value in zip(SETTINGS, shared.before, strict=True):
                    if value not in fine:
                        change(fine[0])
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
                    for (read, change, fine, unset), value in settings:
                        if value not in fine and read() == fine[0]:
                            if unset is not None:
                                change(unset)  # so that it follows torch's global setting again
                            if read() != value:
                                change(value)
                    shared.before = []
