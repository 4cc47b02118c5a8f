"""Random views: geometry read back from images that hold their own coordinates, colour from a fitted affine map."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from semcom.config.loading import load_config
from semcom.data.scenes import Modality
from semcom.models.torchvision_import import import_torchvision
from semcom.rng import stream
from semcom.views.views import centre_views, random_views

torch.set_num_threads(1)

CONFIG = load_config(Path(__file__).parents[1] / "config" / "config.yaml")
STILL = CONFIG.augmentation.pretrain.model_copy(
    update={
        "crop_scale": [1.0, 1.0],
        "crop_ratio": [1.0, 1.0],
        "flip": 0.0,
        "brightness": 0.0,
        "contrast": 0.0,
        "saturation": 0.0,
        "hue": 0.0,
        "grayscale": 0.0,
        "depth_gain": 0.0,
        "blur": 0.0,
        "blur_sigma": [0.1, 2.0],
        "aligned": True,
    }
)
RAW = {  # stored integers as they are
    "rgb": Modality("intensity", 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "colour"),
    "depth": Modality("m", 1.0, (0.0,), (1.0,), "depth"),
}
MEASURED = {
    "rgb": Modality("intensity", 1 / 255, (0.48, 0.41, 0.39), (0.28, 0.29, 0.3), "colour"),
    "depth": Modality("m", 0.001, (2.8,), (1.3,), "depth"),
}
LUMA = np.array([0.299, 0.587, 0.114])


def still(**changes):
    return STILL.model_copy(update=changes)


def views(images, settings, size, seed=0, modalities=RAW, **changes):
    return random_views(images, modalities, settings, size, [stream(seed, "test")], **changes)


def coordinates(batch, side):
    """Scenes whose red is x and whose green is y; the depth holds x + 100 y."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    rgb = torch.stack([x, y, torch.zeros_like(x)]).to(torch.uint8).expand(batch, 3, side, side)
    depth = (x + 100 * y)[None].to(torch.int16).expand(batch, 1, side, side)
    return {"rgb": rgb, "depth": depth}


def crops(view):
    """Left, top, width, height in scene pixels and whether flipped, (5, B) float64, from a view of `coordinates`.

    Read in the middle of the view, where the border plays no part. A view's left edge lies half a pixel before the
    centre of its first.
    """
    view = view.double()
    n = view.shape[-1]
    i, j = n // 4, 3 * n // 4
    middle = n // 2
    dx = (view[:, 0, middle, j] - view[:, 0, middle, i]) / (j - i)
    dy = (view[:, 1, j, middle] - view[:, 1, i, middle]) / (j - i)
    first = view[:, 0, middle, i] + 0.5 - dx * (i + 0.5)
    top = view[:, 1, i, middle] + 0.5 - dy * (i + 0.5)
    left = torch.where(dx < 0, first + dx * n, first)
    return torch.stack([left, top, dx.abs() * n, dy * n, (dx < 0).double()]).numpy()


# Geometry


def test_every_scene_has_its_own_crop_and_flip():
    images = coordinates(500, 64)
    left, top, width, height, flipped = crops(views(images, still(crop_scale=[0.2, 0.9], flip=0.5), 32)["rgb"])
    for drawn in (left, top, width):
        assert len(np.unique(drawn.round(3))) > 450
    assert flipped.mean() == pytest.approx(0.5, abs=0.1)
    assert len(np.unique(np.stack([left, top, width, height]).round(3), axis=1).T) > 495


@pytest.mark.parametrize("flip", [0.0, 0.3, 0.5, 1.0])
def test_flip_rate(flip):
    flipped = crops(views(coordinates(4000, 16), still(flip=flip), 8)["rgb"])[4]
    assert flipped.mean() == pytest.approx(flip, abs=5 * math.sqrt(0.25 / 4000) if 0 < flip < 1 else 0)


def test_a_flip_is_a_mirror_image():
    image = {"rgb": torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)}
    assert torch.allclose(views(image, still(flip=1.0), 32)["rgb"], image["rgb"].float().flip(3), atol=1e-2)


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_crops_keep_to_the_configured_ranges_and_to_the_scene(stage):
    settings = getattr(CONFIG.augmentation, stage)
    quiet = still(crop_scale=settings.crop_scale, crop_ratio=settings.crop_ratio, flip=settings.flip)
    left, top, width, height, _ = crops(views(coordinates(3000, 64), quiet, 16)["rgb"])
    eps = 1e-3
    area, ratio = width * height / 64**2, width / height
    assert settings.crop_scale[0] - eps <= area.min() <= area.max() <= settings.crop_scale[1] + eps
    assert settings.crop_ratio[0] - eps <= ratio.min() <= ratio.max() <= settings.crop_ratio[1] + eps
    assert min(left.min(), top.min()) >= -eps
    assert max((left + width).max(), (top + height).max()) <= 64 + eps


def test_area_is_uniform_ratio_log_uniform_and_position_uniform():
    """Over a range in which no crop is as wide as the scene."""
    settings = still(crop_scale=[0.2, 0.5], crop_ratio=[0.6, 1.6], flip=0.5)
    left, top, width, height, flipped = crops(views(coordinates(4000, 64), settings, 16)["rgb"])
    drawn = {
        "area": (width * height / 64**2 - 0.2) / 0.3,
        "ratio": (np.log(width / height) - math.log(0.6)) / (math.log(1.6) - math.log(0.6)),
        "x": left / (64 - width),
        "y": top / (64 - height),
    }
    for values in drawn.values():
        assert stats.kstest(values.clip(0, 1), "uniform").pvalue > 1e-3
    independent = np.corrcoef(np.stack([*drawn.values(), flipped])) - np.eye(5)
    assert np.abs(independent).max() < 5 / math.sqrt(4000)


def test_the_papers_random_crop_is_224_of_256_pixels_without_zoom():
    images = coordinates(40, 256)
    left, top, width, height, _ = crops(views(images, CONFIG.augmentation.finetune, 224)["rgb"])
    assert np.allclose([width, height], 224, atol=0.01)
    assert 0 <= left.min() < 5
    assert 27 < left.max() <= 32.01
    assert 0 <= top.min()
    assert top.max() <= 32.01


def predicted_depth(found, size):
    """The depth of `coordinates` that a view of this crop must show, away from the border."""
    left, top, width, height, flipped = (torch.from_numpy(x)[:, None, None] for x in found)
    along = (torch.arange(size) + 0.5) / size
    x = torch.where(flipped > 0, left + width * (1 - along), left + width * along) - 0.5
    y = top + height * along[:, None] - 0.5
    return x + 100 * y


def test_aligned_modalities_are_cropped_and_flipped_alike():
    settings = still(crop_scale=[0.3, 0.8], crop_ratio=[0.75, 1.3333], flip=0.5)
    got = views(coordinates(50, 64), settings, 32)
    expected = predicted_depth(crops(got["rgb"]), 32)
    assert torch.allclose(got["depth"][:, 0, 8:24, 8:24].double(), expected[:, 8:24, 8:24], atol=0.1)


def test_modalities_that_are_not_aligned_are_cropped_differently():
    settings = still(crop_scale=[0.3, 0.8], crop_ratio=[0.75, 1.3333], flip=0.5, aligned=False)
    images = coordinates(300, 64)
    got = views(images, settings, 32)
    expected = predicted_depth(crops(got["rgb"]), 32)
    apart = (got["depth"][:, 0].double() - expected)[:, 8:24, 8:24].abs().amax(dim=(1, 2))
    assert float((apart > 1).double().mean()) > 0.98
    other = views({"depth": images["rgb"], "rgb": images["rgb"]}, settings, 32, modalities={**RAW, "depth": RAW["rgb"]})
    one, two = crops(other["depth"]), crops(other["rgb"])
    for a, b in zip(one, two, strict=True):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(300)


def test_a_centre_crop_of_224_of_256_is_a_slice():
    images = {"rgb": torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8), **coordinates(2, 256)}
    got = centre_views(images, RAW, (224 / 256) ** 2, 224)
    for name, image in images.items():
        assert torch.allclose(got[name], image[:, :, 16:240, 16:240].float(), atol=0.05 if name == "rgb" else 0.2)
    ramp = centre_views({"rgb": coordinates(1, 256)["rgb"]}, RAW, 0.765625, 224)["rgb"]
    assert torch.allclose(ramp[0, 0, 0], torch.arange(16.0, 240.0), atol=1e-3)
    assert torch.allclose(ramp[0, 1, :, 0], torch.arange(16.0, 240.0), atol=1e-3)


def test_evaluation_takes_the_configured_centre_crop():
    augmentation = CONFIG.augmentation
    assert augmentation.evaluation_crop_scale == (augmentation.crop_size / CONFIG.data.image_size) ** 2


def random_images(batch, side, seed=0, low=0, high=256):
    g = torch.Generator().manual_seed(seed)
    return {
        "rgb": torch.randint(low, high, (batch, 3, side, side), generator=g).to(torch.uint8),
        "depth": torch.randint(500, 9000, (batch, 1, side, side), generator=g).to(torch.int16),
    }


def test_settings_that_change_nothing_give_the_normalised_centre_view():
    images = random_images(4, 24)
    got, centre = (
        views(images, STILL, 24, modalities=MEASURED),
        centre_views(images, MEASURED, 1.0, 24),
    )
    for name, modality in MEASURED.items():
        mean, std = (torch.tensor(x)[:, None, None] for x in (modality.mean, modality.std))
        expected = (images[name].float() * modality.scale - mean) / std
        assert torch.allclose(got[name], expected, atol=1e-3)
        assert torch.allclose(centre[name], expected, atol=1e-3)
        assert got[name].dtype == torch.float32


# Random streams


FULL = CONFIG.augmentation.pretrain


def test_the_same_stream_gives_the_same_views():
    images = random_images(6, 32)
    one, two, other = (views(images, FULL, 24, seed, MEASURED) for seed in (1, 1, 2))
    for name in images:
        assert torch.equal(one[name], two[name])
        assert not torch.allclose(one[name], other[name])


def test_drawing_views_leaves_the_global_stream_alone_and_does_not_read_it():
    images = random_images(6, 32)
    torch.manual_seed(0)
    one, after = views(images, FULL, 24, 1, MEASURED), torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), after)
    torch.manual_seed(5)
    assert torch.equal(views(images, FULL, 24, 1, MEASURED)["rgb"], one["rgb"])


def test_the_first_modality_does_not_depend_on_those_after_it():
    images = random_images(6, 32)
    alone = views({"rgb": images["rgb"]}, FULL, 24, 1, MEASURED)
    assert torch.equal(alone["rgb"], views(images, FULL, 24, 1, MEASURED)["rgb"])


def test_an_aligned_crop_does_not_depend_on_which_modalities_there_are():
    images = coordinates(6, 32)
    settings = still(crop_scale=[0.3, 0.8], flip=0.5)
    assert torch.equal(views({"depth": images["depth"]}, settings, 16)["depth"], views(images, settings, 16)["depth"])


def test_images_are_not_changed_in_place():
    images = random_images(6, 32)
    before = {name: image.clone() for name, image in images.items()}
    views(images, FULL, 24, 1, MEASURED)
    assert all(torch.equal(images[name], before[name]) for name in images)


# Colour. Each scene's map x -> M x + b is fitted to its pixels, then compared with the definition.


def fitted(before, after):
    """(B, 3, 3) and (B, 3): the affine maps that take each scene's pixels of `before` to those of `after`."""
    matrices, offsets = [], []
    for x, y in zip(before.double(), after.double(), strict=True):
        columns = np.concatenate([x.flatten(1).numpy(), np.ones((1, x[0].numel()))]).T
        solution, residual, _, _ = np.linalg.lstsq(columns, y.flatten(1).numpy().T, rcond=None)
        assert residual.max() < 1e-2  # one affine map it is, for all pixels of a scene
        matrices.append(solution[:3].T)
        offsets.append(solution[3])
    return np.array(matrices), np.array(offsets)


def colour(batch=200, seed=0, **settings):
    """Scenes in the middle of the range, what became of them, and the fitted maps."""
    images = random_images(batch, 8, seed, low=90, high=166)["rgb"]
    after = views({"rgb": images}, still(**settings), 8, seed)["rgb"]
    return images.float(), after, *fitted(images.float(), after)


def is_uniform(values, low, high):
    return values.min() >= low - 1e-3 and values.max() <= high + 1e-3 and stats.kstest(
        (values - low) / (high - low), "uniform"
    ).pvalue > 1e-3  # fmt: skip


def test_brightness_is_a_factor():
    _, _, matrix, offset = colour(brightness=0.4)
    assert np.allclose(matrix, matrix[:, :1, :1] * np.eye(3), atol=1e-3)
    assert np.abs(offset).max() < 0.05
    assert is_uniform(matrix[:, 0, 0], 0.6, 1.4)


def test_contrast_pulls_towards_the_scenes_mean_grey():
    before, _, matrix, offset = colour(contrast=0.4)
    factor = matrix[:, 0, 0]
    assert np.allclose(matrix, factor[:, None, None] * np.eye(3), atol=1e-3)
    grey = before.mean(dim=(2, 3)).double().numpy() @ LUMA
    assert np.allclose(offset, ((1 - factor) * grey)[:, None], atol=0.1)
    assert is_uniform(factor, 0.6, 1.4)


def test_saturation_blends_with_the_grey_image():
    _, _, matrix, offset = colour(saturation=0.4)
    factor = (matrix[:, 0, 0] - LUMA[0]) / (1 - LUMA[0])
    to_grey = np.tile(LUMA, (3, 1))
    expected = factor[:, None, None] * np.eye(3) + (1 - factor)[:, None, None] * to_grey
    assert np.allclose(matrix, expected, atol=1e-3)
    assert np.abs(offset).max() < 0.1
    assert is_uniform(factor, 0.6, 1.4)


def test_lost_colour_is_the_grey_image():
    _, after, matrix, _ = colour(grayscale=1.0, hue=0.3, saturation=0.4)
    assert np.allclose(matrix, np.tile(LUMA, (3, 1)), atol=1e-3)
    assert float((after - after.mean(dim=1, keepdim=True)).abs().max()) < 1e-3


def test_colour_is_lost_as_often_as_configured():
    _, after, _, _ = colour(batch=1000, grayscale=0.2)
    lost = (after - after.mean(dim=1, keepdim=True)).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert float(lost.double().mean()) == pytest.approx(0.2, abs=5 * math.sqrt(0.16 / 1000))


def iq_from_rgb():
    """Rows of I and Q from the definition: the colour differences U, V turned by 33 degrees."""
    u = 0.492 * (np.array([0, 0, 1]) - LUMA)
    v = 0.877 * (np.array([1, 0, 0]) - LUMA)
    turn = math.radians(33)
    return np.stack([v * math.cos(turn) - u * math.sin(turn), v * math.sin(turn) + u * math.cos(turn)])


@pytest.mark.parametrize("hue", [0.1, 0.5])
def test_hue_turns_colours_about_the_grey_axis(hue):
    """Grey stays grey, luma stays luma, and the chroma (I, Q) turns by up to +- hue of a full turn."""
    _, _, matrix, offset = colour(hue=hue)
    assert np.allclose(matrix.sum(axis=2), 1, atol=1e-3)
    assert np.allclose(LUMA @ matrix, LUMA, atol=2e-3)
    assert np.abs(offset).max() < 0.2
    iq = iq_from_rgb()
    turn = iq @ matrix @ np.linalg.pinv(iq)  # exact but for grey, which neither side sees
    angle = np.arctan2(turn[:, 1, 0], turn[:, 0, 0])
    rotation = np.stack([np.stack([np.cos(angle), -np.sin(angle)]), np.stack([np.sin(angle), np.cos(angle)])])
    assert np.allclose(turn, rotation.transpose(2, 0, 1), atol=0.02)
    assert is_uniform(angle / (2 * math.pi), -hue - 0.002, hue + 0.002)


def test_grey_scenes_stay_grey_under_all_colour_changes():
    grey = torch.randint(60, 200, (50, 1, 8, 8)).to(torch.uint8).expand(50, 3, 8, 8)
    settings = still(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.5, grayscale=0.2)
    after = views({"rgb": grey}, settings, 8)["rgb"]
    assert float((after - after.mean(dim=1, keepdim=True)).abs().max()) < 1e-2


def test_contrast_pulls_towards_the_mean_grey_of_the_brightened_scene():
    """Both factors, read back under that reading, must be what was drawn: uniform, each in its own range."""
    before, _, matrix, offset = colour(brightness=0.4, contrast=0.3)
    grey = before.mean(dim=(2, 3)).double().numpy() @ LUMA
    brightness = matrix[:, 0, 0] + offset[:, 0] / grey
    assert is_uniform(brightness, 0.6, 1.4)
    assert is_uniform(matrix[:, 0, 0] / brightness, 0.7, 1.3)


def test_colour_agrees_with_torchvision_where_nothing_is_clipped():
    """The four factors are read from the fitted map, and given to torchvision's functions in ColorJitter's order."""
    functional = import_torchvision().transforms.functional
    before, after, matrix, offset = colour(batch=30, brightness=0.3, contrast=0.3, saturation=0.3)
    for image, view, m, b in zip(before, after, matrix, offset, strict=True):
        gain = m[0].sum()  # brightness x contrast
        grey = image.mean(dim=(1, 2)).double().numpy() @ LUMA
        brightness = gain + b[0] / grey
        saturation = (m[0, 0] / gain - LUMA[0]) / (1 - LUMA[0])
        expected = functional.adjust_brightness(image / 255, brightness)
        expected = functional.adjust_contrast(expected, gain / brightness)
        expected = functional.adjust_saturation(expected, saturation)
        assert 0.01 < float(expected.min()) < float(expected.max()) < 0.99
        assert torch.allclose(view / 255, expected, atol=1e-3)  # torchvision's red weight is 0.2989


def test_colour_changes_commute_with_the_normalisation():
    """Jitter acts on intensities, before mean and deviation are taken out."""
    images = random_images(5, 8, low=90, high=166)
    settings = still(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, depth_gain=0.1)
    raw = {
        "rgb": Modality("intensity", 1 / 255, (0.0,) * 3, (1.0,) * 3, "colour"),
        "depth": Modality("m", 0.001, (0.0,), (1.0,), "depth"),
    }
    plain, normalised = (views(images, settings, 8, 3, modalities) for modalities in (raw, MEASURED))
    for name, modality in MEASURED.items():
        mean, std = (torch.tensor(x)[:, None, None] for x in (modality.mean, modality.std))
        assert torch.allclose(normalised[name], (plain[name] - mean) / std, atol=1e-3)


# Depth


def test_depth_gain_scales_metres():
    """A sensor's scale error: one factor a scene, which leaves 0 m at 0 m, whatever the normalisation."""
    images = random_images(400, 8)
    images["depth"][:, :, 0, 0] = 0
    got = views(images, still(depth_gain=0.1), 8, modalities=MEASURED)["depth"]
    metres = got * MEASURED["depth"].std[0] + MEASURED["depth"].mean[0]
    assert float(metres[:, :, 0, 0].abs().max()) < 1e-3
    gain = (metres / (images["depth"] * 0.001))[:, :, 1:, 1:].flatten(1)
    assert float((gain.amax(dim=1) - gain.amin(dim=1)).max()) < 2e-3
    assert is_uniform(gain.mean(dim=1).numpy(), 0.9, 1.1)


ENCODINGS = {"metres": lambda d: d, "inverse": lambda d: 1 / d, "log": np.log}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encoded_depth_is_the_function_of_metres_up_to_normalisation(encoding):
    """An affine map of f(d), whose slope and zero are those of the normalised depth where d is the mean."""
    encode, (mean,), (std,) = ENCODINGS[encoding], MEASURED["depth"].mean, MEASURED["depth"].std
    images = random_images(6, 8)
    images["depth"] = torch.randint(700, 9999, (6, 1, 8, 8)).to(torch.int16)
    near = (encode(mean + 1e-4) - encode(mean - 1e-4)) / 2e-4
    expected = (encode(images["depth"].double().numpy() * 0.001) - encode(mean)) / (abs(near) * std)
    for got in (
        views(images, STILL, 8, modalities=MEASURED, depth_encoding=encoding),
        centre_views(images, MEASURED, 1.0, 8, depth_encoding=encoding),
    ):
        np.testing.assert_allclose(got["depth"].double().numpy(), expected, atol=1e-4)
        assert torch.allclose(got["rgb"], centre_views(images, MEASURED, 1.0, 8)["rgb"], atol=1e-5)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_depth_gain_is_of_metres_whatever_the_encoding(encoding):
    """The encoded view of depth times a gain, and the same random stream."""
    encode, (mean,), (std,) = ENCODINGS[encoding], MEASURED["depth"].mean, MEASURED["depth"].std
    images = {"depth": torch.randint(700, 9999, (50, 1, 8, 8)).to(torch.int16)}
    plain, encoded = (
        views(images, still(depth_gain=0.2), 8, modalities=MEASURED, depth_encoding=each)["depth"].double().numpy()
        for each in ("metres", encoding)
    )
    slope = {"metres": 1, "inverse": mean**-2, "log": 1 / mean}[encoding]
    np.testing.assert_allclose(encoded, (encode(plain * std + mean) - encode(mean)) / (slope * std), atol=1e-3)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_missing_depth_stays_finite(encoding):
    images = {"depth": torch.zeros(1, 1, 8, 8, dtype=torch.int16)}
    assert views(images, STILL, 8, modalities=MEASURED, depth_encoding=encoding)["depth"].isfinite().all()


def test_colour_settings_leave_depth_alone_and_depth_gain_leaves_colour_alone():
    images = random_images(4, 8)
    loud = still(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, grayscale=0.5)
    assert torch.equal(views(images, loud, 8)["depth"], views(images, STILL, 8)["depth"])
    assert torch.equal(views(images, still(depth_gain=0.2), 8)["rgb"], views(images, STILL, 8)["rgb"])


# Normals and plain modalities

NORMALS = Modality("1", 2 / 255, (0.1, -0.2, 0.6), (0.4, 0.5, 0.3), "normals", zero=-1.0)
LOUD = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "grayscale": 0.5, "depth_gain": 0.2}


def components(view):
    """Normals from a normalised view."""
    mean, std = (torch.tensor(x)[:, None, None] for x in (NORMALS.mean, NORMALS.std))
    return view * std + mean


def test_a_flip_mirrors_normals_and_nothing_else_changes_them():
    """The scene that a mirrored camera would see: columns in reverse order, and x negated."""
    images = {"normals": random_images(40, 9)["rgb"]}
    stored = images["normals"] * (2 / 255) - 1
    got = components(views(images, still(flip=0.5, **LOUD), 9, modalities={"normals": NORMALS})["normals"])
    mirrored = stored.flip(-1) * torch.tensor([-1.0, 1, 1])[:, None, None]
    as_is = torch.tensor([torch.allclose(one, other, atol=1e-4) for one, other in zip(got, stored, strict=True)])
    turned = torch.tensor([torch.allclose(one, other, atol=1e-4) for one, other in zip(got, mirrored, strict=True)])
    assert (as_is ^ turned).all() and 8 < int(turned.sum()) < 32


def test_aligned_normals_are_mirrored_with_their_image():
    """A normal that points to the image's right edge still does after the flip."""
    ramp = torch.arange(9).mul(28).to(torch.uint8).expand(30, 3, 9, 9)  # grows to the right, in x as well
    got = views({"rgb": ramp, "normals": ramp}, still(flip=0.5), 9, modalities=RAW | {"normals": NORMALS})
    rgb, x = got["rgb"][:, 0], components(got["normals"])[:, 0]
    flipped = rgb[:, 0, 0] > rgb[:, 0, -1]
    assert 4 < int(flipped.sum()) < 26
    sign = torch.where(flipped, -1.0, 1.0)[:, None, None]
    assert torch.allclose(x, sign * (rgb * (2 / 255) - 1), atol=1e-4)


def test_nothing_but_position_changes_a_plain_modality():
    plain = Modality("K", 0.01, (290.0,) * 3, (4.0,) * 3, "plain")
    images = {"heat": torch.randint(28000, 30000, (20, 3, 8, 8)).to(torch.int16)}
    got = views(images, still(**LOUD), 8, modalities={"heat": plain}, depth_encoding="log")["heat"]
    assert torch.allclose(got, (images["heat"] * 0.01 - 290) / 4, atol=1e-3)


# Blur


def impulses(batch, sigma, blur=1.0, seed=0, side=33):
    image = torch.zeros(batch, 3, side, side, dtype=torch.uint8)
    image[:, :, side // 2, side // 2] = 200
    return views({"rgb": image}, still(blur=blur, blur_sigma=sigma), side, seed)["rgb"].double() / 200


def deviations(response):
    """Standard deviation in pixels of each response along x and y."""
    at = torch.arange(response.shape[-1]) - response.shape[-1] // 2
    return [(response[:, 0].sum(dim=axis) * at**2).sum(dim=1).sqrt() for axis in (1, 2)]


@pytest.mark.parametrize("sigma", [0.8, 1.5, 2.0, 3.0])
def test_an_impulse_spreads_by_the_configured_deviation_in_pixels(sigma):
    response = impulses(3, [sigma, sigma])
    assert torch.allclose(response.sum(dim=(2, 3)), torch.ones(3, 3, dtype=torch.float64), atol=1e-4)
    for found in deviations(response):
        assert torch.allclose(found, torch.full((3,), sigma, dtype=torch.float64), rtol=0.02)


def test_each_scene_has_its_own_deviation_uniform_in_the_range():
    x, y = deviations(impulses(300, [1.0, 3.0]))
    assert torch.allclose(x, y, rtol=1e-3)
    assert is_uniform(x.numpy().clip(1, 3), 1.0, 3.0)


def test_the_least_blur_changes_almost_nothing():
    response = impulses(2, [0.1, 0.1])
    assert float(response[:, :, 16, 16].min()) > 0.999


def test_blur_keeps_a_constant_image_to_its_border():
    image = torch.full((4, 3, 20, 20), 77, dtype=torch.uint8)
    got = views({"rgb": image}, still(blur=1.0, blur_sigma=[0.5, 4.0]), 20)["rgb"]
    assert torch.allclose(got, torch.full_like(got, 77.0), atol=1e-2)


@pytest.mark.parametrize("side", [8, 9, 13])
def test_blur_works_on_views_smaller_than_its_kernel(side):
    image = torch.full((4, 3, side, side), 77, dtype=torch.uint8)
    got = views({"rgb": image}, still(blur=1.0, blur_sigma=[0.5, 4.0]), side)["rgb"]
    assert torch.allclose(got, torch.full_like(got, 77.0), atol=1e-2)


def test_blur_rate_and_no_leak_between_scenes():
    response = impulses(600, [2.0, 2.0], blur=0.3)
    blurred = response[:, 0, 16, 16] < 0.9
    assert float(blurred.double().mean()) == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / 600))
    assert torch.allclose(response[~blurred].sum(dim=(1, 2, 3)), torch.tensor(3.0, dtype=torch.float64), atol=1e-3)
    image = torch.zeros(6, 3, 16, 16, dtype=torch.uint8)
    image[::2] = 250
    got = views({"rgb": image}, still(blur=1.0, blur_sigma=[2.0, 3.0]), 16)["rgb"]
    assert float(got[1::2].abs().max()) < 1e-3
    assert torch.allclose(got[::2], torch.full_like(got[::2], 250.0), atol=1e-2)


def test_channels_of_a_scene_are_blurred_alike_and_apart():
    image = torch.zeros(2, 3, 33, 33, dtype=torch.uint8)
    image[:, 1, 16, 16] = 200
    got = views({"rgb": image}, still(blur=1.0, blur_sigma=[1.0, 2.0]), 33)["rgb"]
    assert float(got[:, [0, 2]].abs().max()) < 1e-3
    assert torch.allclose(got[:, 1].sum(dim=(1, 2)), torch.full((2,), 200.0), atol=1e-2)
