"""What stage I would cost over the air if the devices were apart."""

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType

import pandas as pd

from semcom.common import plugins
from semcom.config.jobs import PretrainJob
from semcom.config.sections import BlockSettings
from semcom.link.blocks import block, channel_uses
from semcom.link.ledger import exchange


def pretraining_overhead(
    jobs: Mapping[str, PretrainJob],
    steps: pd.DataFrame,
    modulations: Mapping[str, BlockSettings],
    bits_per_value: int,
    pilots: Mapping[str, int] = MappingProxyType({}),
) -> pd.DataFrame:
    """Traffic of stage I, all devices together, if each modality's scenes stayed on their device.

    The features that a loss correlates across modalities go up to a server that holds the loss, and their gradients
    come down. Losses of one modality exchange nothing.

    Args:
        jobs: stage I of each method.
        steps: of `records.collect_steps`; tells how many steps each run took, and of how many scenes.
        modulations: of each method's link; neither its fading nor its SNR changes a count.
        pilots: channel uses that a device of each method spends on pilots with the features of a view; left out: none.

    Returns:
        One row a method and seed: steps, and uplink and downlink channel uses and bits.
    """
    rows = []
    for (method, seed), run in steps.groupby(["method", "seed"], sort=False):
        job = jobs[method]
        loss = plugins.load("semcom.losses", job.loss)
        views = loss.views_exchanged(loss.Options(**job.options))
        features = job.projector[-1] if job.projector else job.encoder.features
        uses = channel_uses(block("modulation", modulations[method]), features)
        traffic = exchange(int(run["scenes"].sum()), features, uses, bits_per_value, pilots.get(method, 0))
        total = asdict(traffic * (views * len(job.modalities)))
        rows.append({"experiment": job.experiment, "method": method, "seed": seed, "steps": run["step"].max(), **total})
    return pd.DataFrame(rows)
