"""Self-supervised losses of stage I, one a file; a method of the configuration names its file.

A loss file offers three names:

    class Options(Settings)                                   what the configuration may set
    def terms(z, z_tilde, options) -> dict[str, Tensor]       the loss, as named terms that sum to it
    def views_exchanged(options) -> int                        views whose features cross between devices

A loss that needs more than one modality says so by a constant, MIN_MODALITIES.

`z` and `z_tilde` are lists over the M modalities of (B, K) float32 features of the two views of the same B scenes.
The files import torch only for type checkers: the workflow reads `Options` while it builds the graph.
"""
