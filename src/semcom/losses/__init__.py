"""Self-supervised losses of stage I, one a file; a method of the configuration names its file.

A loss file offers three names:

    class Options(Settings)                                   what the configuration may set
    def terms(z, z_tilde, options) -> dict[str, Tensor]       the loss, as named terms that sum to it
    def views_exchanged(options) -> int                        views whose features cross between devices

`z` and `z_tilde` are lists over the M modalities of (B, K) float32 features of the two views of the same B scenes. A loss
that needs more than one modality says so by a constant, MIN_MODALITIES. `vicreg.py` is a short example.

A method with state, or with more networks than encoders and projectors, offers a fourth name:

    def network(job, scenes, seed) -> nn.Module               stage I's network, in place of models.two_views.TwoViews

The network has what TwoViews has, and mostly derives from it:

    encoders                       one a modality, which stage II starts from
    parts                          by name, all networks that are trained, each encoder under its modality
    features(views, compute)       what `terms` takes before its options: lists over the modalities. Of the first one, which
                                   belongs to the first views, norms are logged
    after_step(step, total)        what happens after a step, counted from 0

State lies in buffers, or in parameters that ask for no gradient (`requires_grad_(False)`), never elsewhere: what
`state_dict` holds is what a checkpoint keeps, so that a run that goes on ends with the same digits. A draw comes from
`semcom.rng.stream`. The blocks are there to be put together: `models/predictor.py` (`simsiam.py` uses it) and
`models/momentum.py` (`byol.py`). A network class of a method's own lies in `network` or in a file of models/.

The files import torch and the networks inside functions: the workflow reads `Options` while it builds the graph.
"""
