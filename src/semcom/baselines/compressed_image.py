"""Each device sends its image, compressed to what the channel carries; the classifier is at the server.

Images of several channels are sent as JPEG, those of one (depth) as a coarser grid of quantised values or as grey JPEG:
whichever, of those that fit into n log2(1 + |h|^2 SNR) bits, is nearest to the device's own image in mean square. This
favours the conventional system: its channel code reaches capacity at any length, its rate follows the fading, and what
never changes (JPEG's headers and tables) is known to the server and not sent. Where not even the coarsest fits, the server
does not hear the device; of what hears none it takes for the most frequent class.

Source: ITU-T T.81 (JPEG), by Pillow; C. E. Shannon, "A mathematical theory of communication", 1948.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from semcom.baselines.schemes.image import Options
from semcom.baselines.task import FITTED_ON, Air, Task, Told
from semcom.link.ledger import Traffic
from semcom.training.evaluation import Evaluation

NAMED_BITS = 8  # which of the candidates it is
WHITE = 255


@dataclass(frozen=True)
class Ladder:
    """All that could be sent of the images of one modality on one split: N scenes, L candidates.

    Attributes:
        bits: (N, L) of each.
        error: (N, L) mean square against the device's own image, on a scale of 0 to 255.
        decoded: (L, N, C, S, S) stored integers, as the server decodes them.
    """

    bits: Tensor
    error: Tensor
    decoded: Tensor


@dataclass(frozen=True)
class Prepared:
    """By split: of each modality the ladder, and (L, N, K) features of what the server decodes."""

    ladders: dict[str, dict[str, Ladder]]
    features: dict[str, dict[str, Tensor]]


def prepare(task: Task, options: Options) -> Prepared:
    """Every candidate of every image, and its features, on the CPU."""
    ladders, features = {}, {}
    for split in task.labels:
        indices = task.scenes.indices[split]
        images = {m: task.scenes.images[m].index_select(0, indices).cpu() for m in task.modalities}
        ladders[split] = {m: make_ladder(images[m], *scale_of(task, m), options) for m in task.modalities}
        features[split] = encoded(task, split, ladders[split])
    return Prepared(ladders, features)


def answer(prepared: Prepared, task: Task, air: Air, options: Options) -> dict[str, Told]:
    """What the server answers on each split; see the module."""
    told, majority = {}, int(task.prior.argmax())
    for split, labels in task.labels.items():
        everyone = torch.arange(len(labels))
        predicted, share = [], []
        for draw in range(air.draws):
            z, heard = {}, {}
            for m, ladder in prepared.ladders[split].items():
                h, _ = air.fading(len(labels), split, m, draw)
                chosen, heard[m] = best_within(ladder, air.capacity_bits(m, h))
                z[m] = prepared.features[split][m][chosen, everyone]
            anyone = torch.stack(list(heard.values()))
            logits = decided(task, z, heard)
            predicted.append(torch.where(anyone.any(dim=0), logits.argmax(dim=1), majority))
            share.append(anyone.double().mean())
        told[split] = Told(torch.stack(predicted), torch.stack(share).mean().item())
    return told


def training(prepared: Prepared, task: Task, options: Options) -> Traffic:
    """All labelled training images go up once, as many bits each as validation images take at their least error."""
    bits = 0.0
    for ladder in prepared.ladders[FITTED_ON].values():
        finest = ladder.error.argmin(dim=1, keepdim=True)
        bits += ladder.bits.gather(1, finest).double().mean().item()
    return Traffic(uplink_bits=round(bits * task.labelled))


def best_within(ladder: Ladder, budget: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) positions of the candidates of least error within (N,) bits, and (N,) whether one is; 0 where none is."""
    error = ladder.error.masked_fill(ladder.bits > budget[:, None], torch.inf)
    least, chosen = error.min(dim=1)
    return chosen, least < torch.inf


@torch.no_grad()
def decided(task: Task, z: dict[str, Tensor], heard: dict[str, Tensor]) -> Tensor:
    """The server's logits, (N, C), of features that cross no air; zeros, as it was trained with, where it hears nothing.

    What is given and comes back is on the CPU, wherever the server's system is: others may be asking it there.
    """
    device = next(task.server.system.parameters()).device
    z, heard = ({m: values.to(device) for m, values in of_devices.items()} for of_devices in (z, heard))
    generators = {m: torch.Generator(device) for m in z}  # without noise, nothing depends on them
    return task.server.system.decide(z, torch.inf, generators, heard).cpu()


def scale_of(task: Task, modality: str) -> tuple[int, int]:
    """Least and greatest stored integer of a modality: of its type, or of the training scenes where it has a unit."""
    meaning = task.scenes.modalities[modality]
    if meaning.unit != "m":
        return 0, WHITE
    train = task.scenes.images[modality].index_select(0, task.scenes.indices["train"])
    return int(train.min()), int(train.max())


def encoded(task: Task, split: str, ladders: dict[str, Ladder]) -> dict[str, Tensor]:
    """(L, N, K) features of what the server decodes of each modality's images, on the CPU."""
    evaluation, features = task.evaluations[split], {m: [] for m in ladders}
    device, everyone = evaluation.labels.device, torch.arange(len(evaluation.indices))
    for place in range(max(len(ladder.decoded) for ladder in ladders.values())):
        decoded = {m: ladder.decoded[place % len(ladder.decoded)].to(device) for m, ladder in ladders.items()}
        scenes = replace(task.scenes, images=decoded, labels=evaluation.labels, indices={split: everyone.to(device)})
        own = Evaluation(scenes, split, evaluation.job, evaluation.seed, evaluation.compute)
        for m, z in own.features(task.server.system).items():
            if place < len(ladders[m].decoded):
                features[m].append(z.cpu())
    return {m: torch.stack(of_modality) for m, of_modality in features.items()}


def make_ladder(images: Tensor, low: int, high: int, options: Options) -> Ladder:
    """All candidates of (N, C, S, S) stored integers, whose range from `low` to `high` is what the codec sees as 0 to 255."""
    bits, errors, decoded = [], [], []
    span = max(high - low, 1)
    for image in images.numpy():
        shown = np.clip((image.astype(np.float32) - low) * (WHITE / span), 0, WHITE)
        of_image = list(candidates(shown, options))
        bits.append([size for size, _ in of_image])
        errors.append([float(np.mean((back - shown) ** 2)) for _, back in of_image])
        back = np.stack([back for _, back in of_image])
        decoded.append(np.rint(back * (span / WHITE) + low).astype(image.dtype))
    return Ladder(torch.tensor(bits), torch.tensor(errors), torch.from_numpy(np.stack(decoded, axis=1)))


def candidates(image: np.ndarray, options: Options) -> Iterator[tuple[int, np.ndarray]]:
    """Bits, and what comes back, (C, S, S) float32 from 0 to 255, of every candidate of an image of that kind."""
    side = image.shape[-1]
    for small in [*(s for s in options.sides if s < side), side]:
        for quality in options.qualities:
            size, back = jpeg(image, small, quality)
            yield size + NAMED_BITS, back
    if len(image) == 1:
        for small in (s for s in options.grid_sides if s <= side):
            for depth in options.grid_bits:
                yield small**2 * depth + NAMED_BITS, quantised(image, small, depth)


def jpeg(image: np.ndarray, side: int, quality: int) -> tuple[int, np.ndarray]:
    """An image through JPEG at a smaller side: bits of its entropy-coded data, and the image that comes back."""
    whole = Image.fromarray(np.rint(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).astype(np.uint8))
    small = whole if side == whole.width else whole.resize((side, side), Image.Resampling.BOX)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality)
    back = Image.open(file)
    if side != whole.width:
        back = back.resize(whole.size, Image.Resampling.BILINEAR)
    values = np.asarray(back, np.float32)
    return entropy_coded_bits(file.getvalue()), values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def entropy_coded_bits(file: bytes) -> int:
    """Bits of a baseline JPEG file between the header of its scan and its end mark."""
    start = file.index(b"\xff\xda") + 2  # start of scan; before it stand headers and tables alone
    start += int.from_bytes(file[start : start + 2], "big")
    return 8 * (file.rindex(b"\xff\xd9") - start)


def quantised(image: np.ndarray, side: int, bits: int) -> np.ndarray:
    """A (1, S, S) image as side x side values of so many bits each, brought back to its own side."""
    whole = Image.fromarray(image[0])
    levels = 2**bits - 1
    grid = np.asarray(whole.resize((side, side), Image.Resampling.BOX))
    grid = np.rint(grid / WHITE * levels) * np.float32(WHITE / levels)
    return np.asarray(Image.fromarray(grid.astype(np.float32)).resize(whole.size, Image.Resampling.BILINEAR))[None]
