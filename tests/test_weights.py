"""Weights of the user's own: what is taken of good files, and what is said of others."""

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from conftest import ROOT, run_snakemake
from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.common.reporting import logger
from semcom.config.loading import load_config, parse_config
from semcom.config.sections import EncoderSettings
from semcom.models import backbones
from semcom.models.encoders import make_encoders, save_encoders
from semcom.models.torchvision_import import import_torchvision
from semcom.models.weights import check_weights, load_backbone
from weight_files import UNREADABLE, write_unreadable

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # of files made to be refused

CONVNEXT = {"backbone": "convnext", "options": {"depths": [1, 2]}}


def settings(backbone="resnet18", width=8, stem="imagenet", **others):
    return EncoderSettings(
        **{"backbone": backbone, "features": 6, "width": width, "stem": stem, "weights": {}} | others
    )


def made(channels=3, seed=0, **changes):
    torch.manual_seed(seed)
    return backbones.make(channels, settings(**changes))


def published(seed=9, **changes):
    """The state dict of a trained backbone with its classifier, as such are published."""
    network = made(seed=seed, **changes)
    network.train()(torch.randn(4, 3, 32, 32))  # running statistics other than at the start
    name = plugins.load("semcom.models.backbones", changes.get("backbone", "resnet18")).CLASSIFIER
    classifier = nn.Linear(network.outputs, 1000).state_dict()
    return network.state_dict() | {f"{name}.{key}": value for key, value in classifier.items()}


def loaded(state, path, channels=3, **changes):
    """A backbone of another random start, after loading."""
    torch.save(state, path)
    network = made(channels, seed=1, **changes)
    load_backbone(network, settings(**changes), path)
    return network


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


@pytest.fixture
def remarks(caplog):
    logger.setLevel("INFO")
    return lambda: caplog.text


# What is taken


@pytest.mark.parametrize("changes", [{}, CONVNEXT])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_all_but_the_classifier_comes_from_the_file(changes, wrapper, prefix, path, remarks):
    state = published(**changes)
    saved = {prefix + name: value for name, value in state.items()}
    saved = saved if wrapper is None else {wrapper: saved, "epoch": 90, "optimizer": {"state": {}}}
    for name, value in loaded(saved, path, **changes).state_dict().items():
        assert torch.equal(value, state[name]), name
    told = remarks()
    assert "not taken" in told
    assert ("'module.' before each name dropped" in told) == bool(prefix)
    assert (f"its entry '{wrapper}' taken" in told) == (wrapper is not None)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_torchvision_s_own_files_fit_as_they_are(name, path):
    theirs = import_torchvision().models.get_model(name, weights=None, num_classes=17).state_dict()
    ours = loaded(theirs, path, backbone=name, width=64).state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


@pytest.mark.parametrize("changes", [{}, CONVNEXT])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_first_layer_for_colour_responds_to_grey_alike_with_other_channels(changes, channels, path, remarks):
    network = loaded(published(**changes), path, channels, **changes)
    colour = loaded(published(**changes), path, 3, **changes)
    first = plugins.load("semcom.models.backbones", changes.get("backbone", "resnet18")).FIRST_LAYER
    grey = torch.randn(2, 1, 16, 16)
    expected = colour.get_submodule(first)(grey.expand(2, 3, 16, 16))
    ours = network.get_submodule(first)(grey.expand(2, channels, 16, 16))
    assert torch.allclose(ours, expected, atol=1e-5)
    assert f"averaged over 3 channels, for {channels}" in remarks()


def test_a_file_without_batch_counters_is_fine(path):
    """Weights published before torch 0.4.1 counted batches, ResNet-18's among them, lack `num_batches_tracked`, which
    nothing here reads; torch itself accepts such a file."""
    state = {name: value for name, value in published().items() if not name.endswith("num_batches_tracked")}
    network = loaded(state, path)
    assert torch.equal(network.bn1.running_mean, state["bn1.running_mean"])


def test_half_precision_is_taken_in_the_backbone_s_own(path):
    state = {name: value.half() if value.is_floating_point() else value for name, value in published().items()}
    weight = loaded(state, path).conv1.weight
    assert weight.dtype == torch.float32 and torch.equal(weight, state["conv1.weight"].float())


def test_the_configuration_names_a_file_for_each_modality(path):
    state = published()
    torch.save(state, path)
    channels = {"rgb": 3, "depth": 1}
    encoders = make_encoders(settings(weights={"rgb": str(path)}), channels, 0)
    plain = make_encoders(settings(), channels, 0)
    assert torch.equal(encoders["rgb"].backbone.conv1.weight, state["conv1.weight"])
    for name, value in encoders["rgb"].head.state_dict().items():
        assert torch.equal(value, plain["rgb"].head.state_dict()[name])
    for name, value in encoders["depth"].state_dict().items():
        assert torch.equal(value, plain["depth"].state_dict()[name])


def test_safetensors_are_taken(path):
    state = published()
    save_file(state, path)
    network = made(seed=1)
    load_backbone(network, settings(), path)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


# What is refused: in one line that names the file and what it is, with nothing half loaded, and without running code


def refusal(path, changes=None, channels=3):
    changes = changes or {}
    network = made(channels, **changes)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(InputError) as error:
        load_backbone(network, settings(**changes), path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value) and "\x1b" not in str(error.value)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not path.with_suffix(".exploded").exists()
    return str(error.value)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_is_no_state_dict_is_named_for_what_it_is(kind, path):
    write_unreadable(kind, path, made())
    assert UNREADABLE[kind] in refusal(path)


DEPTHS = [
    ("resnet34", "resnet18", "'layer1.2.conv1.weight' is surplus"),
    ("resnet18", "resnet34", "'layer1.2.conv1.weight' is missing"),
    ("resnet50", "resnet18", "'layer1.0.conv3.weight' is surplus"),
    ("resnet34", "resnet50", "'layer1.0.conv3.weight' is missing"),
]


@pytest.mark.parametrize(("theirs", "ours", "found"), DEPTHS)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_resnet_of_another_depth_is_recognised(theirs, ours, found, prefix, path):
    torch.save({prefix + name: value for name, value in published(backbone=theirs).items()}, path)
    said = refusal(path, {"backbone": ours})
    assert (
        f"these are {theirs}'s weights, but encoder.backbone is {ours} ({found}); set encoder.backbone: {theirs}"
        in said
    )


def with_value(name, index, value):
    state = published()
    state[name].view(-1)[index] = value
    return state


def without(name):
    state = published()
    del state[name]
    return state


REFUSED = {
    "too many": (lambda: published() | {"layer9.weight": torch.zeros(2)}, "'layer9.weight' is surplus"),
    "too few": (lambda: without("layer3.1.bn2.bias"), "'layer3.1.bn2.bias' is missing"),
    "nothing": (dict, "these are not resnet18's weights ('conv1.weight' is missing)"),
    "NaN": (lambda: with_value("layer2.0.conv1.weight", 7, torch.nan), "'layer2.0.conv1.weight' holds NaN or infinite"),
    "infinity": (lambda: with_value("bn1.running_var", 0, torch.inf), "'bn1.running_var' holds NaN or infinite"),
    "beyond float32": (
        lambda: published() | {"bn1.weight": torch.full((8,), 1e300, dtype=torch.float64)},
        "'bn1.weight' holds NaN or infinite",
    ),
    "wider": (
        lambda: published(width=16),
        "these are weights of width 16, but encoder.width is 8; set encoder.width: 16",
    ),
    "another stem": (lambda: published(stem="small"), "'conv1.weight' is 3x3, but encoder.stem imagenet has 7x7"),
    "another shape": (
        lambda: published() | {"layer1.0.conv1.weight": torch.zeros(2, 2)},
        "'layer1.0.conv1.weight' should be (8, 8, 3, 3), is (2, 2)",
    ),
    "a vector first": (lambda: published() | {"conv1.weight": torch.zeros(8)}, "'conv1.weight' should be (8, 3, 7, 7)"),
    "no channels": (lambda: published() | {"conv1.weight": torch.zeros(8, 0, 7, 7)}, "is (8, 0, 7, 7)"),
    "a number": (lambda: published() | {"bn1.bias": 3}, "'bn1.bias' is a int, not a tensor"),
    "integers": (lambda: published() | {"bn1.bias": torch.zeros(8, dtype=torch.int8)}, "is a tensor of torch.int8"),
    "sparse": (lambda: published() | {"bn1.bias": torch.ones(8).to_sparse()}, "'bn1.bias' is a sparse, quantized or"),
    "without values": (lambda: published() | {"bn1.bias": torch.ones(8, device="meta")}, "sparse, quantized or empty"),
    "no names": (lambda: {3: torch.zeros(2)}, "its keys are not names of layers"),
    "prefixed": (
        lambda: {f"encoder_q.{name}": value for name, value in published().items()},
        "its names begin with 'encoder_q.' ('encoder_q.conv1.weight' for 'conv1.weight')",
    ),
    "an unknown wrapper": (
        lambda: {"epoch": 3, "teacher": published()},
        "is a checkpoint with entries epoch, teacher, not a state dict; save the one under its key by itself, as "
        "torch.save(checkpoint['teacher'], ...)",
    ),
    "ConvNeXt": (lambda: published(**CONVNEXT), "these are not resnet18's weights"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("channels", [3, 1])
def test_a_state_dict_that_does_not_fit_is_named_for_what_it_is(kind, channels, path):
    make, says = REFUSED[kind]
    torch.save(make(), path)
    if kind == "no channels" and channels == 1:
        says = "should be (8, 1, 7, 7)"
    if kind == "a vector first" and channels == 1:
        says = "'conv1.weight' should be (8, 1, 7, 7)"
    assert says in refusal(path, channels=channels)


def test_encoders_of_this_program_are_pointed_to_their_own_key(path):
    save_encoders(make_encoders(settings(), {"rgb": 3}, 0), path, "ok")
    assert "methods.<method>.pretrained_by" in refusal(path)


# Before the grid starts


def test_every_file_that_the_grid_starts_from_is_checked_with_its_key(path):
    raw = yaml.safe_load((ROOT / "tests/config.yaml").read_text())
    torch.save(published(), path)
    raw["encoder"]["weights"] = {"depth": str(path)}
    check_weights(parse_config(raw))
    raw["methods"]["simclr"]["encoder"] = {"width": 16}
    with pytest.raises(
        InputError, match="^methods.simclr.encoder.weights.depth: .*model.pt: these are weights of width 8"
    ):
        check_weights(parse_config(raw))
    raw["grid"]["methods"].remove("simclr")
    check_weights(parse_config(raw))


def test_no_weights_are_configured_and_so_none_are_checked():
    config = load_config(ROOT / "config/config.yaml")
    assert config.weights() == {}


@pytest.mark.slow
def test_weights_that_do_not_fit_are_refused_before_the_first_job(checkout):
    torch.save(published(backbone="resnet34"), checkout / "mine.pt")
    raw = yaml.safe_load((checkout / "tests/config.yaml").read_text())
    raw["encoder"]["weights"] = {"rgb": "mine.pt"}
    (checkout / "config/mine.yaml").write_text(yaml.safe_dump(raw))
    for dry in (["--dry-run"], []):
        done = run_snakemake(checkout, "all", *dry, "--configfile", "config/mine.yaml")
        assert done.returncode != 0
        assert "encoder.weights.rgb: mine.pt: these are resnet34's weights" in done.stdout
        assert "Traceback" not in done.stdout and not (checkout / "results").exists()


@pytest.mark.slow
def test_another_backbone_and_its_weights_run_to_the_figures(checkout):
    """ConvNeXt for both modalities, from a file for one of them; a method of its own keeps ResNet-18."""
    torch.save({"state_dict": {f"module.{n}": v for n, v in published(**CONVNEXT).items()}}, checkout / "mine.pt")
    raw = yaml.safe_load((checkout / "tests/config.yaml").read_text())
    raw["encoder"] |= CONVNEXT | {"weights": {"rgb": "mine.pt"}}
    raw["methods"]["supervised"]["encoder"] = {"backbone": "resnet18"}
    raw["grid"] |= {"methods": ["simclr", "supervised"], "label_fractions": [1.0]}
    raw["figures"] = {"figure4_label_fraction": 1.0, "figure5_label_fraction": None}
    (checkout / "config/mine.yaml").write_text(yaml.safe_dump(raw))
    done = run_snakemake(checkout, "results/test/figures/figure4.pdf", "--configfile", "config/mine.yaml")
    assert done.returncode == 0, done.stdout
    assert (checkout / "results/test/figures/figure4.pdf").stat().st_size
    (log,) = (checkout / "results/test/logs").rglob("pretrain/simclr/*.log")
    assert (
        "mine.pt: taken for convnext; its entry 'state_dict' taken; 'module.' before each name dropped"
        in log.read_text()
    )
