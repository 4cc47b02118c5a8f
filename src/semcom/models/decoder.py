"""The server's classifier, y_hat = g(z_hat; phi) of eq. (4), on the concatenation of eq. (3)."""

from collections.abc import Sequence

from torch import nn


def make_decoder(inputs: int, classes: int, hidden: Sequence[int], dropout: float) -> nn.Sequential:
    """An MLP from (B, inputs) received values of all devices, concatenated, to (B, classes) logits.

    Args:
        inputs: received real values per scene, summed over devices.
        classes: number of scene classes.
        hidden: widths of the ReLU layers between; empty for a linear classifier.
        dropout: probability before each linear layer.
    """
    widths = [inputs, *hidden, classes]
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(zip(widths, widths[1:], strict=False)):
        if i:
            layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(fan_in, fan_out))
    return nn.Sequential(*layers)
