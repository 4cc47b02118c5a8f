"""The encoders against torchvision's ResNet-18, their random starts, and model files good and bad."""

import importlib
import os
import pickle
import sys

import pytest
import torch
from torch import nn

from semcom.common.errors import InputError
from semcom.config.sections import EncoderSettings
from semcom.models import torchvision_import
from semcom.models.encoders import (
    SemanticEncoder,
    load_backbone,
    load_encoders,
    make_encoders,
    make_head,
    save_encoders,
)

torch.set_num_threads(1)

CHANNELS = {"rgb": 3, "depth": 1}


def settings(features=6, width=8, stem="small", weights=None, hidden=()):
    return EncoderSettings(features=features, width=width, stem=stem, weights=weights or {}, hidden=list(hidden))


def resnet18(**arguments):
    return torchvision_import.whole().models.resnet18(**arguments)


def count(module):
    return sum(p.numel() for p in module.parameters())


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# The network


def test_the_encoder_is_made_of_the_classes_that_importing_torchvision_gives():
    assert torchvision_import.whole().models.ResNet in SemanticEncoder.__mro__
    assert importlib.import_module("torchvision.models.resnet") is torchvision_import.resnet()


def test_a_torchvision_that_is_missing_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="torchvision: not installed; install what envs/requirements.txt pins"):
        torchvision_import.resnet()


def test_the_standard_network_is_torchvisions():
    torch.manual_seed(0)
    theirs = resnet18(num_classes=10)
    ours = SemanticEncoder(3, 10)
    shapes = [{name: tuple(p.shape) for name, p in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    for net in (ours, theirs):
        net.train()
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)  # batch statistics
    for net in (ours, theirs):
        net.eval()
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)  # running statistics, updated alike


def test_normalised_features_are_the_plain_ones_standardised():
    """Over the batch in training, by running statistics in evaluation; nothing to learn is added."""
    torch.manual_seed(0)
    plain, normalised = SemanticEncoder(3, 6, width=8), SemanticEncoder(3, 6, width=8, feature_normalization="batch")
    assert not normalised.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    assert count(plain) == count(normalised)
    x = torch.randn(16, 3, 32, 32)
    for net in (plain, normalised):
        net.train()
    z = plain(x)
    mean, variance = z.mean(dim=0), z.var(dim=0, unbiased=False)
    assert torch.allclose(normalised(x), (z - mean) / (variance + 1e-5).sqrt(), atol=1e-4)
    for net in (plain, normalised):
        net.eval()
    running_mean, running_variance = 0.1 * mean, 0.9 + 0.1 * z.var(dim=0)  # after one batch, momentum 0.1
    expected = (plain(x) - running_mean) / (running_variance + 1e-5).sqrt()
    assert torch.allclose(normalised(x), expected, atol=1e-4)


def test_a_head_is_an_mlp_and_nothing_is_the_identity():
    x = torch.randn(8, 16)
    assert torch.equal(make_head(16, [])(x), x)
    assert make_head(16, [32, 24])(x).shape == (8, 24)


def test_hidden_layers_lie_between_the_pooled_features_and_z():
    """Standardised over the batch (scale 1 and shift 0 at the start), ReLU, then linear: computed by hand."""
    torch.manual_seed(0)
    encoder = SemanticEncoder(3, 6, width=8, hidden=[10]).train()
    pooled = []
    encoder.avgpool.register_forward_hook(lambda module, inputs, output: pooled.append(output.flatten(1)))
    z = encoder(torch.randn(16, 3, 32, 32))
    first, last = encoder.fc[0], encoder.fc[-1]
    a = pooled[0] @ first.weight.T + first.bias
    a = ((a - a.mean(dim=0)) / (a.var(dim=0, unbiased=False) + 1e-5).sqrt()).clamp(min=0)
    assert torch.allclose(z, a @ last.weight.T + last.bias, atol=1e-5)
    plain, hidden = SemanticEncoder(3, 6, width=8), SemanticEncoder(3, 6, width=8, hidden=[10])
    added = (64 * 10 + 10) + 2 * 10 + (10 * 6 + 6) - (64 * 6 + 6)
    assert count(hidden) - count(plain) == added


def test_other_channels_and_features_change_the_first_and_last_layer_only():
    theirs, ours = resnet18(), SemanticEncoder(1, 256)
    differ = {n for n, p in ours.state_dict().items() if p.shape != theirs.state_dict()[n].shape}
    assert differ == {"conv1.weight", "fc.weight", "fc.bias"}
    assert count(theirs) - count(ours) == 2 * 64 * 49 + (1000 - 256) * 513


@pytest.mark.parametrize("width", [4, 8, 16, 32])
def test_width_scales_every_stage(width):
    net = SemanticEncoder(3, 5, width=width)
    stages = [net.layer1, net.layer2, net.layer3, net.layer4]
    assert [stage[-1].conv2.out_channels for stage in stages] == [width, 2 * width, 4 * width, 8 * width]
    assert [len(stage) for stage in stages] == [2, 2, 2, 2]
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 5)


@pytest.mark.parametrize(("stem", "side"), [("imagenet", 8), ("small", 32)])
def test_stems_reduce_the_image_by_4_or_not_at_all(stem, side):
    net = SemanticEncoder(1, 5, width=8, stem=stem)
    stem_output = net.maxpool(net.relu(net.bn1(net.conv1(torch.randn(2, 1, 32, 32)))))
    assert stem_output.shape == (2, 8, side, side)
    assert net.layer4(net.layer3(net.layer2(net.layer1(stem_output)))).shape == (2, 64, side // 8, side // 8)


def test_features_take_both_signs():
    """Averaged ReLU features do not, and their uncentred correlations would all be near 1."""
    torch.manual_seed(0)
    z = SemanticEncoder(3, 64, width=8)(torch.randn(8, 3, 32, 32))
    assert 0.2 < float((z > 0).double().mean()) < 0.8


# Random starts


def test_modalities_share_no_parameter():
    encoders = make_encoders(settings(), CHANNELS, 0)
    owned = [{p.data_ptr() for p in e.state_dict().values()} for e in encoders.values()]
    assert not owned[0] & owned[1]
    before = encoders["depth"].state_dict()["layer1.0.conv1.weight"].clone()
    encoders["rgb"](torch.randn(4, 3, 16, 16)).sum().backward()
    assert all(p.grad is None for p in encoders["depth"].parameters())
    assert torch.equal(encoders["depth"].state_dict()["layer1.0.conv1.weight"], before)


def test_weights_depend_on_seed_and_modality_only():
    one = make_encoders(settings(), CHANNELS, 0).state_dict()
    torch.manual_seed(77)
    assert same(one, make_encoders(settings(), CHANNELS, 0).state_dict())
    other = make_encoders(settings(), CHANNELS, 1).state_dict()
    name = "layer1.0.conv1.weight"
    assert not torch.equal(one[f"rgb.{name}"], other[f"rgb.{name}"])
    assert not torch.equal(one[f"rgb.{name}"], one[f"depth.{name}"])
    alone = make_encoders(settings(), {"depth": 1}, 0).state_dict()
    assert same(alone, {n: v for n, v in one.items() if n.startswith("depth.")})


def test_drawing_weights_leaves_the_global_stream_alone():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    make_encoders(settings(), CHANNELS, 0)
    assert torch.equal(torch.rand(3), expected)


def test_the_first_layer_starts_as_torchvisions_does():
    """Kaiming's fan-out: deviation sqrt(2 / (k * k * width))."""
    for stem, kernel in (("imagenet", 7), ("small", 3)):
        torch.manual_seed(0)
        weight = SemanticEncoder(3, 5, width=64, stem=stem).conv1.weight
        assert float(weight.detach().std()) == pytest.approx((2 / (kernel**2 * 64)) ** 0.5, rel=0.05)


# Starting from a local state dict


@pytest.fixture
def backbone(tmp_path):
    """A small ResNet-18 of three channels and another number of classes, saved as torchvision's are."""
    torch.manual_seed(9)
    net = SemanticEncoder(3, 1000, width=8, stem="imagenet")
    net.train()(torch.randn(4, 3, 32, 32))  # running statistics other than at the start
    path = tmp_path / "resnet18.pt"
    torch.save(net.state_dict(), path)
    return net, path


@pytest.mark.parametrize("last_layers", [{}, {"feature_normalization": "batch"}, {"hidden": [10]}])
def test_all_but_the_last_layers_comes_from_the_file(backbone, last_layers):
    net, path = backbone
    encoder = SemanticEncoder(3, 6, width=8, **last_layers)
    last = {name: value.clone() for name, value in encoder.fc.state_dict().items()}
    load_backbone(encoder, path)
    for name, value in encoder.state_dict().items():
        if not name.startswith(("fc.", "feature_norm.")):
            assert torch.equal(value, net.state_dict()[name]), name
    assert same(encoder.fc.state_dict(), last)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_first_layer_for_colour_responds_to_grey_alike_with_other_channels(backbone, channels):
    net, path = backbone
    encoder = SemanticEncoder(channels, 6, width=8)
    load_backbone(encoder, path)
    grey = torch.randn(2, 1, 16, 16)
    expected = net.conv1(grey.expand(2, 3, 16, 16))
    assert torch.allclose(encoder.conv1(grey.expand(2, channels, 16, 16)), expected, atol=1e-5)


def test_the_configuration_names_a_file_for_each_modality(backbone):
    net, path = backbone
    encoders = make_encoders(settings(stem="imagenet", weights={"rgb": str(path)}), CHANNELS, 0)
    plain = make_encoders(settings(stem="imagenet"), CHANNELS, 0)
    assert torch.equal(encoders["rgb"].conv1.weight, net.conv1.weight)
    assert same(encoders["depth"].state_dict(), plain["depth"].state_dict())
    assert torch.equal(encoders["rgb"].fc.weight, plain["rgb"].fc.weight)


def test_a_file_without_batch_counters_is_fine(backbone, tmp_path):
    """Weights published before torch 0.4.1 counted batches, ResNet-18's among them, lack `num_batches_tracked`, which
    nothing here reads; torch itself accepts such a file."""
    net, _ = backbone
    path = tmp_path / "old.pt"
    torch.save({n: v for n, v in net.state_dict().items() if not n.endswith("num_batches_tracked")}, path)
    encoder = SemanticEncoder(3, 6, width=8)
    load_backbone(encoder, path)
    assert torch.equal(encoder.bn1.running_mean, net.bn1.running_mean)


# Bad files. Each is an InputError that names the file.


class Bomb:
    """Unpickled by a careless reader, makes a directory."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def write_bad(kind, path, good):
    state = dict(good.state_dict())
    first = "layer1.0.conv1.weight"
    if kind == "missing":
        return
    if kind == "bomb":
        torch.save(state | {"conv1.weight": Bomb(path.with_suffix(".exploded"))}, path)
    elif kind == "old bomb":
        torch.save(Bomb(path.with_suffix(".exploded")), path, _use_new_zipfile_serialization=False)
    elif kind == "plain pickle bomb":
        path.write_bytes(pickle.dumps(Bomb(path.with_suffix(".exploded"))))
    elif kind == "random bytes":
        path.write_bytes(bytes(range(256)) * 40)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut off":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:-5000])
    elif kind == "directory":
        path.mkdir()
    else:
        values = {
            "a list": [1, 2, 3],
            "a tensor": torch.zeros(3),
            "a whole module": good,
            "no entries": {},
            "a checkpoint around the state": {"state_dict": state, "epoch": 3},
            "another width": SemanticEncoder(3, 6, width=16).state_dict(),
            "another stem": SemanticEncoder(3, 6, width=8, stem="small").state_dict(),
            "a missing entry": {n: v for n, v in state.items() if n != first},
            "a wrong shape": state | {first: torch.zeros(2, 2)},
            "a number for a tensor": state | {first: 3},
            "a vector for the first layer": state | {"conv1.weight": torch.zeros(8)},
            "a number for the first layer": state | {"conv1.weight": 3},
            "a first layer without channels": state | {"conv1.weight": torch.zeros(8, 0, 7, 7)},
            "keys that are no names": {3: torch.zeros(2)},
        }
        torch.save(values[kind], path)


BAD = ["missing", "bomb", "old bomb", "plain pickle bomb", "random bytes", "empty", "cut off", "directory", "a list"]
BAD += ["a tensor", "a whole module", "no entries"]
BAD_STATES = ["a checkpoint around the state", "another width", "another stem", "a missing entry", "a wrong shape"]
BAD_STATES += ["a number for a tensor", "a vector for the first layer", "a number for the first layer"]
BAD_STATES += ["a first layer without channels", "keys that are no names"]


@pytest.mark.parametrize("kind", BAD + BAD_STATES)
@pytest.mark.parametrize("channels", [3, 1])
def test_a_bad_backbone_is_refused_by_name_and_runs_no_code(kind, channels, tmp_path):
    path = tmp_path / "model.pt"
    write_bad(kind, path, SemanticEncoder(3, 6, width=8))
    encoder = SemanticEncoder(channels, 6, width=8)
    before = {n: v.clone() for n, v in encoder.state_dict().items()}
    with pytest.raises(InputError, match="model.pt") as error:
        load_backbone(encoder, path)
    assert "\n" not in str(error.value)
    assert not path.with_suffix(".exploded").exists()
    assert same(encoder.state_dict(), before)  # nothing half loaded


# What stage I leaves for stage II


def trained(seed=0):
    encoders = make_encoders(settings(), CHANNELS, seed)
    for modality, encoder in encoders.items():
        encoder.train()(torch.randn(4, CHANNELS[modality], 16, 16))
    return encoders


def test_saved_encoders_come_back_whole(tmp_path):
    encoders, path = trained(), tmp_path / "encoders.pt"
    save_encoders(encoders, path, "diverged")
    other = make_encoders(settings(), CHANNELS, 5)
    assert load_encoders(other, path) == "diverged"
    assert same(other.state_dict(), encoders.state_dict())
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(other["rgb"].eval()(x), encoders["rgb"].eval()(x))
    assert [p.name for p in tmp_path.iterdir()] == ["encoders.pt"]  # no temporary file is left


def test_a_failed_write_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "encoders.pt"
    save_encoders(trained(0), path, "ok")
    before = path.read_bytes()

    def fail(state, target):
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_encoders(trained(1), path, "ok")
    assert path.read_bytes() == before


@pytest.mark.parametrize("change", [{"features": 7}, {"width": 16}, {"stem": "imagenet"}, {"hidden": [10]}])
def test_encoders_of_another_configuration_are_refused(change, tmp_path):
    path = tmp_path / "model.pt"
    save_encoders(trained(), path, "ok")
    with pytest.raises(InputError, match="model.pt"):
        load_encoders(make_encoders(settings(**change), CHANNELS, 0), path)


@pytest.mark.parametrize("channels", [{"rgb": 3}, {"rgb": 3, "thermal": 1}, {"rgb": 3, "depth": 3}])
def test_encoders_of_other_modalities_are_refused(channels, tmp_path):
    path = tmp_path / "model.pt"
    save_encoders(trained(), path, "ok")
    with pytest.raises(InputError, match="model.pt"):
        load_encoders(make_encoders(settings(), channels, 0), path)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_encoder_file_is_refused_by_name_and_runs_no_code(kind, tmp_path):
    path = tmp_path / "model.pt"
    write_bad(kind, path, SemanticEncoder(3, 6, width=8))
    with pytest.raises(InputError, match="model.pt"):
        load_encoders(make_encoders(settings(), CHANNELS, 0), path)
    assert not path.with_suffix(".exploded").exists()


@pytest.mark.parametrize("change", [{"encoders": None}, {"encoders": [1]}, {"status": None}, {"entry": 3}])
def test_a_file_of_our_format_that_lacks_its_parts_is_refused(change, tmp_path):
    path = tmp_path / "model.pt"
    save_encoders(trained(), path, "ok")
    saved = torch.load(path)
    for key, value in change.items():
        if key == "entry":
            saved["encoders"]["rgb.conv1.weight"] = value
        elif value is None:
            del saved[key]
        else:
            saved[key] = value
    torch.save(saved, path)
    with pytest.raises(InputError, match="model.pt"):
        load_encoders(make_encoders(settings(), CHANNELS, 0), path)


def test_a_module_dict_of_encoders_is_what_stages_train():
    encoders = make_encoders(settings(), CHANNELS, 0)
    assert isinstance(encoders, nn.ModuleDict)
    assert list(encoders) == list(CHANNELS)
    assert encoders["depth"].conv1.in_channels == 1
