"""What one would take instead: lightly's transforms, a DataLoader and lightly's Barlow Twins loss, on the same encoders."""

import itertools
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.arithmetic import PLAIN
from benchmarks.steps import against_bare
from benchmarks.subject import Subject, bare_encoders
from benchmarks.timing import Target, row
from semcom.common.errors import InputError
from semcom.config.stage import Stage
from semcom.models.precision import encode
from semcom.models.torchvision_import import import_torchvision


def scenes_per_second(subject: Subject, name: str, steps: int = 30) -> list[dict]:
    """Stage I of both, step by step in turns: the peer in torch's defaults, and in our encoders' arithmetic.

    Raises:
        InputError: lightly is not installed.
    """
    batch = subject.pretrain_job.schedule.batch_size
    rows = []
    for case, changes in (("torch's defaults", PLAIN), ("our arithmetic", {})):
        compute = subject.compute.model_copy(update=changes)
        turns = against_bare(subject, Stage.PRETRAIN, peer_step(subject, compute), steps)
        ours, theirs = ([batch / seconds for seconds in side] for side in (turns.own, turns.other))
        rows.append(
            row(
                name, "stage I, proposed", ours, "scenes/s", against=f"lightly with DataLoader, {case}", reference=theirs,
                target=Target(2, at_least=True), **subject.where(name),
            )
        )  # fmt: skip
    return rows


def peer_step(subject: Subject, compute):
    """A training step as lightly's examples have it, for each modality; images lie in memory, decoded.

    Depth is spared colour jitter, grey and blur, which Pillow lacks for its values: what it does cost here is less than
    ours.

    Raises:
        InputError: lightly is not installed.
    """
    import_torchvision()  # which lightly imports
    try:
        from lightly.loss import BarlowTwinsLoss
        from lightly.transforms import SimCLRTransform
    except ImportError:
        raise InputError("lightly: not installed; pip install -e '.[bench]'") from None
    views, side = subject.pretrain_job.views, subject.config.augmentation.crop_size
    scale = {"input_size": side, "min_scale": views.crop_scale[0], "hf_prob": views.flip}
    scenes = subject.scenes
    transforms = {}
    for modality, meaning in scenes.modalities.items():
        normalize = {"mean": list(meaning.mean), "std": list(meaning.std)}
        if meaning.channels == 3:
            change = {"cj_prob": 1.0, "cj_strength": 1.0, "cj_bright": views.brightness, "cj_contrast": views.contrast}
            change |= {"cj_sat": views.saturation, "cj_hue": views.hue}
            change |= {
                "random_gray_scale": views.grayscale,
                "gaussian_blur": views.blur,
                "sigmas": tuple(views.blur_sigma),
            }
        else:
            change = {"cj_prob": 0.0, "random_gray_scale": 0.0, "gaussian_blur": 0.0}
        transforms[modality] = SimCLRTransform(**scale, **change, normalize=normalize)
    batch = subject.pretrain_job.schedule.batch_size
    loader = DataLoader(_InMemory(scenes, transforms), batch_size=batch, shuffle=True, drop_last=True)
    batches: Iterator = itertools.chain.from_iterable(itertools.repeat(loader))
    network = bare_encoders(subject, compute)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    criterion = BarlowTwinsLoss()

    def step() -> None:
        loss = 0.0
        first, second = next(batches)
        both = {m: torch.cat([first[m], second[m]]).to(subject.device) for m in scenes.modalities}
        for z in encode(network.encoders, both, compute).values():
            loss = loss + criterion(*z.chunk(2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step


class _InMemory(Dataset):
    """Training scenes as Pillow's images, two views of each by the transforms."""

    def __init__(self, scenes, transforms):
        from PIL import Image

        self.transforms = transforms
        self.images = []
        for index in scenes.indices["train"].tolist():
            stored = scenes.batch(torch.tensor([index], device=scenes.device))
            image = {}
            for modality, values in stored.items():
                values = values[0].cpu()
                if len(values) == 1:  # Pillow's 32-bit floats, in the modality's unit
                    image[modality] = Image.fromarray((values[0] * scenes.modalities[modality].scale).float().numpy())
                else:
                    image[modality] = Image.fromarray(values.permute(1, 2, 0).numpy())
            self.images.append(image)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[dict, dict]:
        views = {modality: self.transforms[modality](image) for modality, image in self.images[index].items()}
        return tuple({modality: pair[view] for modality, pair in views.items()} for view in (0, 1))
