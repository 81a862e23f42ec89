"""Compare the networks of five tutorials with our defaults at the same code size.

    python benchmarks/tutorials.py --mnist DIR                        # hours: the last one is long
    python benchmarks/tutorials.py --mnist DIR --epochs-scale 0.1     # a quick look
    python benchmarks/tutorials.py --mnist DIR --only "784-32" --only "convolutional, 4"

A recipe has the tutorial's network, loss, optimizer, batch size, epochs and range of values, with
init="random". Its author reports the mean loss over the training batches of the last epoch or,
if the table says so, the loss on the test images. Our defaults share only the number of code units,
the loss and the noise with the recipe.

The dense recipes have exactly the layers of the tutorials. The convolutional recipes have a dense
layer before and after the code, while the tutorials use the last feature maps as the code.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from _data import add_mnist_argument, load_mnist
from sklearn.utils import gen_batches

from sklearn_ae import AutoencoderTransformer, DenoisingAutoencoder
from sklearn_ae.corruption import corrupt

NOISE = {"corruption": "gaussian", "corruption_level": 0.5, "corruption_range": (0, 1)}
IMAGES = {"image_shape": (1, 28, 28), "hidden_layer_sizes": ()}
KERAS = {"optimizer": "adam", "learning_rate": 0.001, "schedule": "constant", "activation": "relu"}


@dataclass(frozen=True)
class Tutorial:
    """A network of a tutorial.

    Attributes
    ----------
    name : str
    estimator : class
    code : dict
        Parameters that our defaults share: number of code units, loss, noise.
    recipe : dict
        The rest of the tutorial's parameters.
    reported : float
        The loss that the author reports.
    on_test_images : bool
        Whether the reported loss is that of test images.
    low, high : float
        The tutorial's range of values.
    """

    name: str
    estimator: type
    code: dict
    recipe: dict
    reported: float
    on_test_images: bool = False
    low: float = 0.0
    high: float = 1.0

    def values(self, X):
        """Scale images from [0, 1] to the tutorial's range."""
        return self.low + (self.high - self.low) * X


CROSS_ENTROPY = "binary_cross_entropy"
TUTORIALS = [
    Tutorial(
        "784-32-784, ReLU code, logistic output",
        AutoencoderTransformer,
        {"n_components": 32, "loss": CROSS_ENTROPY},
        {
            "hidden_layer_sizes": (),
            "code_activation": "relu",
            "output_activation": "logistic",
            "batch_size": 200,
            "max_epochs": 20,
        },
        0.093,
    ),
    Tutorial(
        "784-100-20-100-784, ReLU everywhere",
        AutoencoderTransformer,
        {"n_components": 20, "loss": "squared_error"},
        {
            "hidden_layer_sizes": (100,),
            "code_activation": "relu",
            "output_activation": "relu",
            "batch_size": 64,
            "max_epochs": 50,
        },
        1454.87,
        on_test_images=True,
        high=255.0,
    ),
    Tutorial(
        "784-128-64-10-2, tanh output",
        AutoencoderTransformer,
        {"n_components": 2, "loss": "squared_error"},
        {
            "hidden_layer_sizes": (128, 64, 10),
            "output_activation": "tanh",
            "batch_size": 256,
            "max_epochs": 20,
        },
        0.0398,
        low=-0.5,
        high=0.5,
    ),
    Tutorial(
        "convolutional, 4 by 4 by 8 code",
        AutoencoderTransformer,
        {"n_components": 128, "loss": CROSS_ENTROPY},
        {**IMAGES, "conv_filters": (16, 8, 8), "batch_size": 200, "max_epochs": 20},
        0.100,
    ),
    Tutorial(
        "denoising convolutional, 4 by 4 by 16 code",
        DenoisingAutoencoder,
        {"n_components": 256, "loss": CROSS_ENTROPY, **NOISE},
        {**IMAGES, "conv_filters": (32, 32, 16), "batch_size": 200, "max_epochs": 100},
        0.099,
    ),
]


def fit(tutorial, X, params, verbose):
    """Return a fitted estimator and the seconds that the fit took."""
    estimator = tutorial.estimator(**tutorial.code, **params, random_state=0, verbose=verbose)
    start = time.perf_counter()
    estimator.fit(tutorial.values(X))
    return estimator, time.perf_counter() - start


@torch.no_grad()
def test_loss(tutorial, estimator, X):
    """Return the tutorial's loss on test images, which are corrupted for a denoising network."""
    X = tutorial.values(X)
    inputs = X
    if tutorial.estimator is DenoisingAutoencoder:
        inputs = corrupt(X, "gaussian", 0.5, (0, 1), random_state=0)
    if tutorial.code["loss"] == "squared_error":
        return float(np.square(estimator.reconstruct(inputs) - X).mean(dtype=np.float64))
    total = 0.0
    for rows in gen_batches(len(X), 500):  # from logits: probabilities would round to 0 and 1
        u = (inputs[rows] - estimator.mean_) / estimator.scale_
        logits = estimator.decoder_(estimator.encoder_(torch.as_tensor(u)))
        target = torch.as_tensor(X[rows])
        total += F.binary_cross_entropy_with_logits(logits, target, reduction="sum").item()
    return total / X.size


def row(name, *values):
    """Print a row of the table."""
    cells = [f"{'' if value is None else f'{value:.4g}':>12}" for value in values]
    print(f"  {name:28}" + "".join(cells), flush=True)


def measure(tutorial, X_train, X_test, epochs_scale, verbose):
    """Print the losses of the tutorial's recipe and of our defaults."""
    n_epochs = max(1, round(epochs_scale * tutorial.recipe["max_epochs"]))
    of = "test images" if tutorial.on_test_images else "training"
    print(f"\n{tutorial.name}: {n_epochs} of {tutorial.recipe['max_epochs']} epochs")
    print(f"  {'':28}" + "".join(f"{x:>12}" for x in ("training", "test images", "seconds")))
    row("author", *((None, tutorial.reported) if tutorial.on_test_images else (tutorial.reported,)))
    losses, test_losses, times = [], [], []
    recipe = {**KERAS, **tutorial.recipe, "max_epochs": n_epochs}
    recipe |= {"init": "random", "early_stopping": False}
    for name, params in {"recipe": recipe, "our defaults": {}}.items():
        estimator, seconds = fit(tutorial, X_train, params, verbose)
        losses.append(estimator.loss_curve_[max(estimator.best_epoch_, 1) - 1])
        test_losses.append(test_loss(tutorial, estimator, X_test))
        times.append(seconds)
        row(name, losses[-1], test_losses[-1], seconds)
        if name == "recipe":
            curve = ", ".join(f"{loss:.4g}" for loss in estimator.loss_curve_[-5:])
            print(f"    last losses: {curve}", flush=True)
    reached = test_losses if tutorial.on_test_images else losses
    print(f"  recipe ÷ author ({of}): {reached[0] / tutorial.reported:.3f}")
    ratios = losses[1] / losses[0], test_losses[1] / test_losses[0], times[1] / times[0]
    print("  our defaults ÷ recipe: training {:.3f}, test {:.3f}, time {:.2f}".format(*ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_mnist_argument(parser)
    parser.add_argument("--epochs-scale", type=float, default=1.0, metavar="SHARE")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="start of the name of a tutorial",
    )
    parser.add_argument("--verbose", type=int, default=1, help="0: no progress bar")
    args = parser.parse_args()
    X_train, _, X_test, _ = load_mnist(args.mnist)
    for tutorial in TUTORIALS:
        if not args.only or any(tutorial.name.startswith(name) for name in args.only):
            measure(tutorial, X_train, X_test, args.epochs_scale, args.verbose)


if __name__ == "__main__":
    main()
