"""Backbones against torchvision's networks, what the configuration says of them, and torchvision's import."""

import subprocess
import sys

import pytest
import torch
import yaml

from conftest import ROOT
from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.config.experiment import BACKBONE_OFFERS
from semcom.config.loading import parse_config
from semcom.config.sections import EncoderSettings
from semcom.models import backbones
from semcom.models.torchvision_import import import_torchvision

torch.set_num_threads(1)

# A backbone, its options, and torchvision's network that it is at the width given here.
PUBLISHED = [
    ("resnet18", {}, 64, "resnet18"),
    ("resnet34", {}, 64, "resnet34"),
    ("resnet50", {}, 64, "resnet50"),
    ("convnext", {"depths": [3, 3, 9, 3]}, 96, "convnext_tiny"),
]
SMALL = [("resnet18", {}), ("resnet34", {}), ("resnet50", {}), ("convnext", {"depths": [1, 2, 1]})]


def settings(backbone, options=None, width=8, stem="imagenet", features=6):
    return EncoderSettings(
        backbone=backbone, options=options or {}, features=features, width=width, stem=stem, weights={}
    )


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_every_backbone_offers_what_one_must():
    """One of the user's own too."""
    names = plugins.names("semcom.models.backbones")
    assert {name for name, *_ in PUBLISHED} == {name for name, _ in SMALL} <= set(names)
    for name in names:
        plugins.load("semcom.models.backbones", name, BACKBONE_OFFERS)


def test_importing_the_backbones_does_not_import_torch():
    """The workflow reads their Options while it builds the graph; torch would cost seconds each time."""
    code = "import sys, importlib\n"
    for name in plugins.names("semcom.models.backbones"):
        code += f"importlib.import_module('semcom.models.backbones.{name}')\n"
    assert subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"]).returncode == 0


@pytest.mark.parametrize(("name", "options", "width", "theirs"), PUBLISHED)
def test_at_its_published_size_a_backbone_computes_what_torchvision_s_network_does(name, options, width, theirs):
    torch.manual_seed(0)
    published = import_torchvision().models.get_model(theirs, weights=None)
    ours = backbones.make(3, settings(name, options, width))
    plugin = plugins.load("semcom.models.backbones", name)
    state = published.state_dict()
    taken = {key: value for key, value in state.items() if not key.startswith(f"{plugin.CLASSIFIER}.")}
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in taken.items()
    }
    ours.load_state_dict(taken)
    published.get_submodule(plugin.CLASSIFIER.rpartition(".")[0]).register_module(
        plugin.CLASSIFIER.rpartition(".")[2], torch.nn.Identity()
    )
    x = torch.randn(2, 3, 64, 64)
    for network in (ours, published):
        network.eval()
    with torch.no_grad():
        expected = published(x)
        assert expected.shape == (2, ours.outputs)
        assert torch.allclose(ours(x), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_a_resnet_starts_from_the_numbers_that_torchvision_draws(name):
    """All but the first and last layer, which have other sizes here."""
    torch.manual_seed(5)
    theirs = import_torchvision().models.get_model(name, weights=None, num_classes=6).state_dict()
    torch.manual_seed(5)
    for key, value in backbones.make(1, settings(name, width=64)).state_dict().items():
        assert key == "conv1.weight" or torch.equal(value, theirs[key]), key


@pytest.mark.parametrize(("name", "options"), SMALL)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_backbone_gives_as_many_features_as_it_says(name, options, channels):
    torch.manual_seed(0)
    network = backbones.make(channels, settings(name, options)).train()
    x = torch.randn(4, channels, 32, 32)
    z = network(x)
    assert z.shape == (4, network.outputs)
    z.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(("name", "options"), SMALL)
def test_a_forward_pass_draws_nothing(name, options):
    """A resumed run could not draw the same again."""
    torch.manual_seed(0)
    network = backbones.make(3, settings(name, options)).train()
    before = torch.get_rng_state()
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(x), network(x))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("name", "options"), SMALL)
def test_twice_the_width_is_twice_the_features(name, options):
    narrow, wide = (backbones.make(3, settings(name, options, width)) for width in (8, 16))
    assert wide.outputs == 2 * narrow.outputs
    assert 3 < count(wide) / count(narrow) < 4.5  # convolutions grow by 4, norms and the first layer by 2


@pytest.mark.parametrize("width", [4, 8, 24])
def test_width_scales_every_stage_of_a_resnet(width):
    network = backbones.make(3, settings("resnet18", width=width))
    stages = [network.layer1, network.layer2, network.layer3, network.layer4]
    assert [stage[-1].conv2.out_channels for stage in stages] == [width, 2 * width, 4 * width, 8 * width]
    assert [len(stage) for stage in stages] == [2, 2, 2, 2]


@pytest.mark.parametrize(("stem", "side"), [("imagenet", 8), ("small", 32)])
def test_stems_reduce_the_image_by_4_or_not_at_all(stem, side):
    network = backbones.make(1, settings("resnet18", stem=stem))
    x = torch.randn(2, 1, 32, 32)
    assert network[:4](x).shape == (2, 8, side, side)
    assert network[:8](x).shape == (2, 64, side // 8, side // 8)


def test_the_first_layer_starts_by_fan_out():
    """Deviation sqrt(2 / (k * k * width))."""
    for stem, kernel in (("imagenet", 7), ("small", 3)):
        torch.manual_seed(0)
        weight = backbones.make(3, settings("resnet18", width=64, stem=stem)).conv1.weight
        assert float(weight.detach().std()) == pytest.approx((2 / (kernel**2 * 64)) ** 0.5, rel=0.05)


def test_convnext_takes_the_least_side_that_it_names_and_no_less():
    convnext = plugins.load("semcom.models.backbones", "convnext")
    options = convnext.Options(depths=[1, 1, 1])
    network = backbones.make(3, settings("convnext", options.model_dump()))
    least = convnext.least_side(options)
    assert network(torch.randn(2, 3, least, least)).shape == (2, network.outputs)
    with pytest.raises(RuntimeError):
        network(torch.randn(2, 3, least - 1, least - 1))


# The configuration


def refused(**encoder):
    raw = yaml.safe_load((ROOT / "tests/config.yaml").read_text())
    raw["encoder"] |= encoder
    with pytest.raises(InputError) as error:
        parse_config(raw)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_backbone_that_cannot_be_is_named_with_its_key():
    assert "encoder.backbone: no module 'resnet81'" in refused(backbone="resnet81")
    assert "did you mean 'resnet18'?" in refused(backbone="resnet81")
    assert "encoder.options.depth: unknown key (value 4); known: none" in refused(options={"depth": 4})
    convnext = {"backbone": "convnext"}
    assert "encoder.options.depths: missing key" in refused(**convnext)
    assert "did you mean 'depths'?" in refused(**convnext, options={"depth": [1, 1], "depths": [1, 1]})
    options = {"depths": [1, 1]}
    assert "encoder.stem: backbone convnext has no stem 'small'; take imagenet" in refused(
        **convnext, options=options, stem="small"
    )
    assert "augmentation.crop_size: 32 is below the 64 pixels" in refused(**convnext, options={"depths": [1] * 5})


def test_a_method_with_another_backbone_leaves_the_section_s_options_and_weights():
    raw = yaml.safe_load((ROOT / "tests/config.yaml").read_text())
    raw["encoder"] |= {"backbone": "convnext", "options": {"depths": [1, 1]}, "weights": {"rgb": "convnext.pt"}}
    raw["methods"]["simclr"]["encoder"] = {"backbone": "resnet34"}
    config = parse_config(raw)
    simclr, proposed = config.encoder_settings("simclr"), config.encoder_settings("proposed")
    assert (simclr.backbone, simclr.options, simclr.weights) == ("resnet34", {}, {})
    assert (proposed.options, proposed.weights) == ({"depths": [1, 1]}, {"rgb": "convnext.pt"})
    raw["methods"]["simclr"]["encoder"] = {"backbone": "convnext", "options": {"depths": [2, 2]}, "width": 4}
    raw["methods"]["other"] = {"like": "simclr", "encoder": {"backbone": "resnet18"}}
    raw["methods"]["same"] = {"like": "simclr", "encoder": {"width": 16}}
    config = parse_config(raw)
    other, same = config.encoder_settings("other"), config.encoder_settings("same")
    assert (other.backbone, other.options, other.width) == ("resnet18", {}, 4)
    assert (same.backbone, same.options, same.width) == ("convnext", {"depths": [2, 2]}, 16)
    del raw["methods"]["other"], raw["methods"]["same"]
    raw["methods"]["simclr"]["encoder"] = {"backbone": "resnt34"}
    with pytest.raises(InputError, match=r"methods.simclr.encoder.backbone: .* did you mean 'resnet34'"):
        parse_config(raw)


# torchvision's import


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT / "src")} | environment,
    )


IMPORTED = """
import sys
from semcom.models.torchvision_import import import_torchvision
whole = import_torchvision()
import torchvision as again, torchvision.models.resnet, torchvision.transforms, torchvision.ops
assert whole is again is sys.modules["torchvision"] and import_torchvision() is whole
assert whole.__file__.endswith("torchvision/__init__.py") and whole.__version__
assert whole.models.resnet18(num_classes=2)
"""


def test_torchvision_is_imported_whole_and_is_the_one_that_others_import():
    done = run(IMPORTED)
    assert done.returncode == 0, done.stderr


def test_where_a_plain_import_works_nothing_is_declared():
    """As with both from one index, where the operators are there; here they are declared beforehand."""
    code = "import torch\n" if run("import torchvision").returncode == 0 else """
import torch
for name in ("nms", "qnms"):
    torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""  # fmt: skip
    done = run(code + IMPORTED)  # declaring one a second time would be an error
    assert done.returncode == 0, done.stderr


def test_an_operator_that_is_only_declared_cannot_be_called():
    plain = run("import torchvision")
    if plain.returncode == 0:
        pytest.skip("torch and torchvision are of one build")
    assert "operator torchvision::nms does not exist" in plain.stderr  # which the README and docstring quote
    done = run(IMPORTED + "import torch\nwhole.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)")
    assert done.returncode != 0 and "nms" in done.stderr.splitlines()[-1] + done.stderr


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise ModuleNotFoundError(\"No module named 'torchvision'\")", "No module named 'torchvision'"),
        ("raise RuntimeError('compiled with different CUDA\\nmajor versions')", "different CUDA major versions"),
    ],
)
def test_a_torchvision_that_cannot_be_imported_is_named_with_the_cure(source, says, tmp_path):
    (tmp_path / "torchvision.py").write_text(source)
    code = """
from semcom.common.errors import InputError
from semcom.models.torchvision_import import import_torchvision
try:
    import_torchvision()
except InputError as error:
    print(error)
"""
    done = run(code, PYTHONPATH=f"{tmp_path}:{ROOT / 'src'}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("torchvision: cannot be imported (") and says in done.stdout
    assert "install torch and torchvision from one index" in done.stdout and done.stdout.count("\n") == 1
