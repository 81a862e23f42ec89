"""One context in which results do not depend on the state that a user has given torch."""

import os
from contextlib import ExitStack, contextmanager
from threading import Lock

import torch

# Settings of the whole process on which results depend: (read, set, value in the context).
SHARED_SETTINGS = (
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
)

IMPORTING_PROCESS = os.getpid()


class SharedSettings:
    """Settings of the whole process, kept at values while any thread needs them.

    Threads may come and go in any order: the first one changes the settings and the last one
    restores them.
    """

    def __init__(self, settings):
        self.settings = settings
        self.lock = Lock()
        self.n_users = 0

    def acquire(self):
        """Change the settings if they differ; return whether `release` is needed."""
        with self.lock:
            before = [read() for read, _, _ in self.settings]
            wanted = [value for _, _, value in self.settings]
            if not self.n_users and before == wanted:
                return False
            if not self.n_users:
                self.before = before
                self._change(wanted)
            self.n_users += 1
            return True

    def release(self):
        """Restore the settings if no other thread needs them."""
        with self.lock:
            self.n_users -= 1
            if not self.n_users:
                self._change(self.before)

    def _change(self, values):
        for (_, change, _), value in zip(self.settings, values, strict=True):
            change(value)


SHARED = SharedSettings(SHARED_SETTINGS)


@contextmanager
def isolate_torch():
    """Run the block in torch's default state, and leave the state of the user as it was.

    The state that counts is the default dtype, the default device, autocast, grad and inference
    mode, and the precision of float32 products. The number of threads and deterministic
    algorithms stay as the user has set them. A forked process computes with one thread: OpenMP's
    threads do not survive a fork, and libgomp would wait for them for ever.
    """
    with ExitStack() as stack:
        if SHARED.acquire():
            stack.callback(SHARED.release)
        if torch.get_default_device() != torch.device("cpu"):
            stack.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if os.getpid() != IMPORTING_PROCESS and torch.get_num_threads() > 1:
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        yield
