"""Measure variants of a training step in plain torch, each with one change.

    python benchmarks/training_levers.py [--rounds 5]

The network is the default one, a linear path and one hidden layer of 512 units, on batches of the
size of the digits and of MNIST. Every round runs all variants in turn. The table has the median
time of a step, and its ratio to the first variant. The variant marked * is what this package uses.
"""

import argparse
import statistics
import time
from functools import partial

import torch
import torch.nn.functional as F

N_HIDDEN = 512
SIZES = {"digits": (64, 64, 8), "MNIST": (200, 784, 32)}  # rows, features, codes


def parameters(n_features, n_codes):
    """Return the weights and biases of linear path and correction, of encoder, then decoder."""
    shapes = [(n_codes, n_features), (N_HIDDEN, n_features), (N_HIDDEN,), (n_codes, N_HIDDEN)]
    shapes += [(n_features, n_codes), (N_HIDDEN, n_codes), (N_HIDDEN,), (n_features, N_HIDDEN)]
    return [torch.randn(*shape).mul_(0.05).requires_grad_() for shape in shapes]


def half(u, linear, first, bias, second):
    return F.linear(u, linear) + F.linear(F.silu(F.linear(u, first, bias)), second)


def output(u, weights):
    return half(half(u, *weights[:4]), *weights[4:])


def output_of_fused_layers(u, weights):
    """Compute the same output, with the linear path as further units of the hidden layers."""
    first, bias, second, third, next_bias, last = weights
    hidden = F.linear(u, first, bias)
    z = F.linear(F.silu(hidden[:, :N_HIDDEN]), second) + hidden[:, N_HIDDEN:]
    hidden = torch.cat([F.silu(F.linear(z, third, next_bias)), z], dim=1)
    return F.linear(hidden, last)


def fused_parameters(n_features, n_codes):
    n_units = N_HIDDEN + n_codes
    shapes = [(n_units, n_features), (n_units,), (n_codes, N_HIDDEN)]
    shapes += [(N_HIDDEN, n_codes), (N_HIDDEN,), (n_features, n_units)]
    return [torch.randn(*shape).mul_(0.05).requires_grad_() for shape in shapes]


def make_step(
    u, weights, network=output, optimizer=None, zeroed=False, read_loss=False, flat=False, threads=0
):
    """Return a function that makes a training step, and the number of threads to use."""
    optimized = [flattened(weights)] if flat else weights
    make = optimizer or partial(torch.optim.Adam, fused=True)
    adam = make(optimized, lr=1e-4)

    def step():
        if flat:
            optimized[0].grad.zero_()
        else:
            for weight in weights:
                if zeroed and weight.grad is not None:
                    weight.grad.zero_()
                elif not zeroed:
                    weight.grad = None
        loss = F.mse_loss(network(u, weights), u)
        loss.backward()
        adam.step()
        return loss.item() if read_loss else loss

    return step, threads or torch.get_num_threads()


def flattened(weights):
    """Make weights views of one flat tensor, and gradients of another; return the former."""
    flat = torch.cat([weight.detach().flatten() for weight in weights]).requires_grad_()
    flat.grad = torch.zeros_like(flat)
    n_done = 0
    for weight in weights:
        where = slice(n_done, n_done + weight.numel())
        weight.data = flat.data[where].view_as(weight)
        weight.grad = flat.grad[where].view_as(weight)
        n_done = where.stop
    return flat


def ways(n_rows, n_features, n_codes):
    u = torch.randn(n_rows, n_features)
    adam = torch.optim.Adam
    make = {
        "Adam, one tensor after the other": {"optimizer": partial(adam, foreach=False)},
        "Adam, foreach": {"optimizer": partial(adam, foreach=True)},
        "Adam, fused *": {},
        "fused, gradients zeroed, not dropped": {"zeroed": True},
        "fused, loss read after each step": {"read_loss": True},
        "fused, one flat tensor of parameters": {"flat": True},
        "fused, one thread": {"threads": 1},
    }
    found = {
        name: make_step(u, parameters(n_features, n_codes), **how) for name, how in make.items()
    }
    fused = fused_parameters(n_features, n_codes)
    found["linear path in the hidden layers"] = make_step(u, fused, output_of_fused_layers)
    return found


def step_milliseconds(step, n_threads, n_steps):
    n_before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        step()
        start = time.perf_counter()
        for _ in range(n_steps):
            step()
        return (time.perf_counter() - start) / n_steps * 1e3
    finally:
        torch.set_num_threads(n_before)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    for name, sizes in SIZES.items():
        steps = ways(*sizes)
        n_steps = 20_000 // sizes[1]
        found = {way: [] for way in steps}
        for _ in range(args.rounds):
            for way, (step, n_threads) in steps.items():
                found[way].append(step_milliseconds(step, n_threads, n_steps))
        medians = {way: statistics.median(values) for way, values in found.items()}
        first = next(iter(medians.values()))
        print(f"\n{name}, {sizes[1]} features, batches of {sizes[0]}: a step")
        print(f"{'':40}{'ms':>7}{'÷ first':>9}")
        for way, median in medians.items():
            print(f"{way:40}{median:7.2f}{median / first:9.2f}")


if __name__ == "__main__":
    main()
