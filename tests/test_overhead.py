"""The ledger's numbers: channel uses and bits of a round, by hand."""

import subprocess
import sys

import pytest

from semcom.config.sections import BlockSettings
from semcom.link.blocks import block, channel_uses
from semcom.link.ledger import Ledger, Traffic, exchange

DEVICES = ["rgb", "depth"]


def round_of(modulation, scenes=64, features=512, bits=32):
    uses = channel_uses(block("modulation", BlockSettings(name=modulation)), features)
    return {device: exchange(scenes, features, uses, bits) for device in DEVICES}


@pytest.mark.parametrize(("modulation", "uses"), [("packed", 32_768), ("peak", 32_768), ("literal", 65_536)])
def test_a_round_of_64_scenes_2_devices_and_512_features(modulation, uses):
    """Packed: 64 x 2 x 256 uses up and as many down. Literal, eq. (2): a use a feature, twice that."""
    ledger = Ledger(DEVICES)
    ledger.charge(round_of(modulation))
    assert (ledger.total().uplink_channel_uses, ledger.total().downlink_channel_uses) == (uses, uses)


@pytest.mark.parametrize("modulation", ["packed", "peak", "literal"])
def test_bits_count_real_values_whatever_the_modulation(modulation):
    ledger = Ledger(DEVICES)
    ledger.charge(round_of(modulation))
    bits = 64 * 2 * 512 * 32
    assert (ledger.total().uplink_bits, ledger.total().downlink_bits) == (bits, bits)
    ledger = Ledger(DEVICES)
    ledger.charge(round_of(modulation, bits=8))
    assert ledger.total().uplink_bits == bits // 4


def test_traffic_adds_up():
    a, b = Traffic(1, 2, 3, 4), Traffic(10, 20, 30, 40)
    assert a + b == b + a == Traffic(11, 22, 33, 44)
    assert a + Traffic() == a
    assert a * 3 == a + a + a
    assert a * 0 == Traffic()


def test_the_ledger_is_additive_in_rounds_scenes_and_devices():
    costs = round_of("packed")
    one_by_one, at_once = Ledger(DEVICES), Ledger(DEVICES)
    for _ in range(12):
        one_by_one.charge(costs)
    at_once.charge(costs, rounds=12)
    assert one_by_one.rounds == at_once.rounds == 12
    assert one_by_one.devices == at_once.devices
    assert one_by_one.total() == at_once.total() == (costs["rgb"] + costs["depth"]) * 12
    assert exchange(64, 512, 256, 32) == exchange(40, 512, 256, 32) + exchange(24, 512, 256, 32)


def test_an_epoch_of_nyud2_is_12_rounds_of_packed_symbols():
    """795 scenes in batches of 64, the partial one dropped; 399 with half of the labels: 6."""
    assert (795 // 64, 399 // 64) == (12, 6)
    ledger = Ledger(DEVICES)
    ledger.charge(round_of("packed"), rounds=12)
    assert ledger.total().uplink_channel_uses == 393_216


def test_devices_are_charged_apart():
    ledger = Ledger(DEVICES)
    ledger.charge({"rgb": exchange(64, 512, 256, 32)})
    assert ledger.devices["depth"] == Traffic()
    assert ledger.devices["rgb"].uplink_channel_uses == 16_384


def test_counting_needs_neither_channel_nor_torch():
    code = "import sys; from semcom.config.sections import BlockSettings; from semcom.link.blocks import block, channel_uses\n"
    code += "assert channel_uses(block('modulation', BlockSettings(name='packed')), 512) == 256\n"
    code += "sys.exit(any(name == 'torch' or name.startswith('semcom.link.fading.') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
