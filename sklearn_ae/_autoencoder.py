"""The autoencoder."""

from ._base import BaseAutoencoder


class AutoencoderTransformer(BaseAutoencoder):
    """tmp."""

    def __init__(
        self,
        n_components=None,
        *,
        hidden_layer_sizes=(512, 256),
        activation="silu",
        code_activation="identity",
        output_activation="identity",
        linear_start="auto",
        loss="squared_error",
        optimizer="adam",
        learning_rate=0.008,
        schedule="one_cycle",
        weight_decay=0.0,
        batch_size="auto",
        max_epochs="auto",
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=20,
        tol=0.0,
        clip=False,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
    ):
        super().__init__(
            n_components,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            code_activation=code_activation,
            output_activation=output_activation,
            linear_start=linear_start,
            loss=loss,
            optimizer=optimizer,
            learning_rate=learning_rate,
            schedule=schedule,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_epochs=max_epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            clip=clip,
            warm_start=warm_start,
            device=device,
            random_state=random_state,
            verbose=verbose,
            net_params=net_params,
        )
