"""The encoders' layers, their random starts, and the files that stage I leaves for stage II."""

import pytest
import torch
from torch import nn

from semcom.common.errors import InputError
from semcom.config.sections import EncoderSettings
from semcom.models.encoders import SemanticEncoder, load_encoders, make_encoders, make_head, save_encoders
from weight_files import UNREADABLE, write_unreadable

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # of files made to be refused

CHANNELS = {"rgb": 3, "depth": 1}


def settings(features=6, width=8, stem="small", backbone="resnet18", **others):
    return EncoderSettings(
        **{"backbone": backbone, "features": features, "width": width, "stem": stem, "weights": {}} | others
    )


def encoder_of(channels=3, **changes):
    return SemanticEncoder(channels, settings(**changes))


def count(module):
    return sum(p.numel() for p in module.parameters())


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# The network


def test_normalised_features_are_the_plain_ones_standardised():
    """Over the batch in training, by running statistics in evaluation; nothing to learn is added."""
    torch.manual_seed(0)
    plain, normalised = encoder_of(), encoder_of(feature_normalization="batch")
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
    encoder = encoder_of(hidden=[10]).train()
    pooled = []
    encoder.backbone.register_forward_hook(lambda module, inputs, output: pooled.append(output))
    z = encoder(torch.randn(16, 3, 32, 32))
    first, last = encoder.head[0], encoder.head[-1]
    a = pooled[0] @ first.weight.T + first.bias
    a = ((a - a.mean(dim=0)) / (a.var(dim=0, unbiased=False) + 1e-5).sqrt()).clamp(min=0)
    assert torch.allclose(z, a @ last.weight.T + last.bias, atol=1e-5)
    plain, hidden = encoder_of(), encoder_of(hidden=[10])
    added = (64 * 10 + 10) + 2 * 10 + (10 * 6 + 6) - (64 * 6 + 6)
    assert count(hidden) - count(plain) == added


def test_without_hidden_layers_the_encoder_is_its_backbone_and_one_linear_layer():
    torch.manual_seed(0)
    encoder = encoder_of(1)
    x = torch.randn(4, 1, 16, 16)
    (linear,) = encoder.head
    assert torch.allclose(encoder(x), encoder.backbone(x) @ linear.weight.T + linear.bias, atol=1e-6)
    assert count(encoder) == count(encoder.backbone) + 6 * (64 + 1)


def test_features_take_both_signs():
    """Averaged ReLU features do not, and their uncentred correlations would all be near 1."""
    torch.manual_seed(0)
    z = encoder_of(features=64)(torch.randn(8, 3, 32, 32))
    assert 0.2 < float((z > 0).double().mean()) < 0.8


# Random starts


def test_modalities_share_no_parameter():
    encoders = make_encoders(settings(), CHANNELS, 0)
    owned = [{p.data_ptr() for p in e.state_dict().values()} for e in encoders.values()]
    assert not owned[0] & owned[1]
    before = encoders["depth"].state_dict()["backbone.layer1.0.conv1.weight"].clone()
    encoders["rgb"](torch.randn(4, 3, 16, 16)).sum().backward()
    assert all(p.grad is None for p in encoders["depth"].parameters())
    assert torch.equal(encoders["depth"].state_dict()["backbone.layer1.0.conv1.weight"], before)


def test_weights_depend_on_seed_and_modality_only():
    one = make_encoders(settings(), CHANNELS, 0).state_dict()
    torch.manual_seed(77)
    assert same(one, make_encoders(settings(), CHANNELS, 0).state_dict())
    other = make_encoders(settings(), CHANNELS, 1).state_dict()
    name = "backbone.layer1.0.conv1.weight"
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


@pytest.mark.parametrize(
    "change", [{"features": 7}, {"width": 16}, {"stem": "imagenet"}, {"hidden": [10]}, {"backbone": "resnet34"}]
)
def test_encoders_of_another_configuration_are_refused(change, tmp_path):
    path = tmp_path / "model.pt"
    save_encoders(trained(), path, "ok")
    with pytest.raises(InputError, match="model.pt"):
        load_encoders(make_encoders(settings(**change), CHANNELS, 0), path)


def test_a_device_alone_takes_its_own_encoder_out_of_a_joint_file(tmp_path):
    path, joint = tmp_path / "model.pt", trained()
    save_encoders(joint, path, "ok")
    alone = make_encoders(settings(), {"depth": 1}, 1)
    assert load_encoders(alone, path) == "ok"
    assert same(alone["depth"].state_dict(), joint["depth"].state_dict())


@pytest.mark.parametrize("channels", [{"thermal": 1}, {"rgb": 3, "thermal": 1}, {"rgb": 3, "depth": 3}])
def test_encoders_of_other_modalities_are_refused(channels, tmp_path):
    path = tmp_path / "model.pt"
    save_encoders(trained(), path, "ok")
    with pytest.raises(InputError, match="model.pt"):
        load_encoders(make_encoders(settings(), channels, 0), path)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_bad_encoder_file_is_refused_by_name_and_runs_no_code(kind, tmp_path):
    path = tmp_path / "model.pt"
    write_unreadable(kind, path, encoder_of())
    with pytest.raises(InputError, match="model.pt"):
        load_encoders(make_encoders(settings(), CHANNELS, 0), path)
    assert not path.with_suffix(".exploded").exists()


@pytest.mark.parametrize(
    "change",
    [
        *({"encoders": None}, {"encoders": [1]}, {"status": None}, {"entry": 3}, {"status": "stopped"}, {"status": 3}),
        *({"width": 8}, {"encoders": {1: torch.zeros(1)}}, {"entry": torch.zeros(8, 3, 7, 7, dtype=torch.int64)}),
        {"entry": torch.zeros(8, 3, 7, 7).to_sparse()},
    ],
)
def test_a_file_of_our_format_that_lacks_its_parts_is_refused(change, tmp_path):
    path = tmp_path / "model.pt"
    save_encoders(trained(), path, "ok")
    saved = torch.load(path)
    for key, value in change.items():
        if key == "entry":
            saved["encoders"]["rgb.backbone.conv1.weight"] = value
        elif value is None:
            del saved[key]
        else:
            saved[key] = value
    torch.save(saved, path)
    with pytest.raises(InputError, match="model.pt: .*; pre-train again: snakemake --forcerun .*model.pt$"):
        load_encoders(make_encoders(settings(), CHANNELS, 0), path)


def test_a_module_dict_of_encoders_is_what_stages_train():
    encoders = make_encoders(settings(), CHANNELS, 0)
    assert isinstance(encoders, nn.ModuleDict)
    assert list(encoders) == list(CHANNELS)
    assert encoders["depth"].backbone.conv1.in_channels == 1
