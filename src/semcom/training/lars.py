"""LARS: stochastic gradient descent whose step is scaled, layer by layer, to the size of the layer's weights.

Source: Y. You, I. Gitman, B. Ginsburg, "Large Batch Training of Convolutional Networks", arXiv 1708.03888, Algorithm 1.
Barlow Twins and SimCLR were published with it. The learning rate multiplies the momentum, as in `torch.optim.SGD`; in
the paper it multiplies each gradient before that enters the momentum. At a constant rate both take the same steps.
"""

import torch

TRUST = 0.001  # eta of the paper's Algorithm 1


class LARS(torch.optim.SGD):
    """`torch.optim.SGD` on gradients that are scaled first: g <- eta |w| / (|g| + beta |w|) (g + beta w).

    A group with `adapt: False` takes plain SGD's steps, as biases and normalisation layers are wanted to.
    """

    def __init__(self, params, **options):
        super().__init__(params, **options)
        for group in self.param_groups:
            group.setdefault("adapt", True)

    @torch.no_grad()
    def step(self, closure=None):
        divisor = getattr(self, "grad_scale", None)
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if divisor is not None:
                    p.grad.div_(divisor)
                if group["adapt"]:
                    decay, weight, gradient = group["weight_decay"], p.norm(), p.grad.norm()
                    ratio = TRUST * weight / (gradient + decay * weight)
                    p.grad.add_(p, alpha=decay).mul_(torch.where((weight > 0) & (gradient > 0), ratio, 1.0))
            if group["adapt"]:
                group["weight_decay"] = 0.0  # it is in the gradient now
        self.grad_scale = None
        try:
            return super().step(closure)
        finally:
            for group, decay in zip(self.param_groups, decays, strict=True):
                group["weight_decay"] = decay
