"""Whether what is asked of trained links can be answered: `evaluations:` and `baselines:` of the configuration.

Each check raises ValueError with one line that names key and remedy; `experiment.Config` calls them with itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from semcom.common import plugins
from semcom.config import channel_counts
from semcom.config.sections import ChannelSettings

if TYPE_CHECKING:
    from semcom.config.experiment import Config

LONGEST_WORD_BITS = 16  # log2 of the channel uses of an inference that are simulated


def check_evaluation(config: Config, name: str) -> None:
    """Every system must be able to take every condition."""
    where, evaluation = f"evaluations.{name}", config.evaluations[name]
    if not config.keep_systems:
        raise ValueError(f"{where}: needs the trained links; set keep_systems to true, or the evaluation to null")
    for method in evaluation.methods or []:
        if method not in config.grid.methods:
            hint = plugins.did_you_mean(method, config.grid.methods)
            raise ValueError(f"{where}.methods: '{method}' is not one of grid.methods{hint}")
    called: dict[str, str] = {}
    for condition, settings in evaluation.conditions.items():
        at = f"{where}.conditions.{condition}"
        label = config.condition_labels(name)[condition]
        if label in called:
            raise ValueError(
                f"{at}.label: '{label}' is also what '{called[label]}' is called; name one of them otherwise"
            )
        called[label] = condition
        for modality in settings.silent:
            if modality not in config.modalities:
                hint = plugins.did_you_mean(modality, config.modalities)
                raise ValueError(f"{at}.silent: '{modality}' is not one of modalities{hint}")
            if not any(modality in config.modalities_of(m) for m in evaluation.methods or config.grid.methods):
                raise ValueError(
                    f"{at}.silent: none of the methods asked has '{modality}'; leave it out, or ask one that has it"
                )
        for method in evaluation.methods or config.grid.methods:
            channel = config.condition_channel(name, condition, method)
            _check_condition(config, at, method, channel)
            if channel.snr_trace is not None and evaluation.figure in ("curves", "map"):
                raise ValueError(
                    f"{where}.figure: {evaluation.figure} is over the SNR at test, and method '{method}' goes along a "
                    f"trace in condition '{condition}'; take conditions, or set its channel.snr_trace to null"
                )
    if evaluation.figure == "uses":
        _check_uses(config, where, name)
    if evaluation.figure == "map":
        _check_map(config, where, evaluation.methods or config.grid.methods)


def _check_map(config: Config, where: str, methods: list[str]) -> None:
    """A map has a panel a method that is trained at single SNRs, and in it at most one row of training over a range."""
    rows: dict[str, str] = {}
    for method in methods:
        if config.finetune_settings(method).snr_range_db is None:
            continue
        family = config.family(method)
        if family == method or family not in methods:
            raise ValueError(
                f"{where}.figure: map has methods trained at each of grid.snr_db, and '{method}' is trained over a range "
                "(finetune.snr_range_db) and is `like` none of them; take curves, or ask one that it is like too"
            )
        if family in rows:
            raise ValueError(
                f"{where}.methods: '{rows[family]}' and '{method}', both like '{family}', are trained over a range, and "
                "figure: map has one row for that; leave one of them out"
            )
        rows[family] = method


def _check_uses(config: Config, where: str, name: str) -> None:
    """Accuracy against channel uses needs one SNR of the whole link, and one method at each number of uses of a line."""
    evaluation = config.evaluations[name]
    ((condition, settings),) = evaluation.conditions.items()
    if len(config.grid.snr_db) > 1:
        raise ValueError(
            f"{where}.figure: uses shows links of one training, and grid.snr_db has {len(config.grid.snr_db)}; leave one "
            "of them, or take map"
        )
    lines: dict[str, dict[int, str]] = {}
    for method in evaluation.methods or config.grid.methods:
        channel = config.condition_channel(name, condition, method)
        for key, given in (
            ("snr_offset_db", any(channel.snr_offset_db.values())),
            ("snr_trace", channel.snr_trace),
        ):
            if given:
                raise ValueError(
                    f"{where}.figure: uses draws what the channel carries at one SNR, and channel.{key} gives others; "
                    f"leave it out in conditions.{condition}, or take conditions"
                )
        sending = [m for m in config.modalities_of(method) if m not in settings.silent]
        uses = len(sending) * channel_counts.channel_uses(channel, config.encoder_settings(method).features)
        if not uses:
            raise ValueError(
                f"{where}.figure: uses has no place for 0 on its axis, and every device of method '{method}' is silent in "
                f"conditions.{condition}; leave the method out, or take conditions"
            )
        line = lines.setdefault(config.family(method), {})
        if uses in line:
            raise ValueError(
                f"{where}.methods: '{line[uses]}' and '{method}', both like '{config.family(method)}', take {uses} channel "
                "uses; leave one of them out"
            )
        line[uses] = method
    if len({uses for line in lines.values() for uses in line}) < 2:
        raise ValueError(
            f"{where}.figure: uses has a single number of channel uses; give methods of other encoder.features, or take "
            "curves"
        )


def _check_condition(config: Config, at: str, method: str, channel: ChannelSettings) -> None:
    features = config.encoder_settings(method).features
    for modality in channel.snr_offset_db:
        if modality not in config.modalities:
            hint = plugins.did_you_mean(modality, config.modalities)
            raise ValueError(f"{at}.channel.snr_offset_db: '{modality}' is not one of modalities{hint}")
    trained, tested = (channel_counts.received_values(c, features) for c in (config.channel_settings(method), channel))
    if trained != tested:
        raise ValueError(
            f"{at}.channel.modulation: '{channel.modulation.name}' gives the decoder {tested} values a device, and "
            f"method '{method}' is trained with {trained}; take another, or leave the method out by `methods`"
        )


def check_baselines(config: Config, name: str) -> None:
    """Every scheme must exist, and find the classifiers that it needs, trained without noise."""
    where, study = f"baselines.{name}", config.baselines[name]
    _check_baselines_need(config, where)
    asked = [*study.methods, *study.local.values(), *([study.server] if study.server else [])]
    for method in asked:
        if method not in config.grid.methods:
            hint = plugins.did_you_mean(method, config.grid.methods)
            raise ValueError(f"{where}: '{method}' is not one of grid.methods{hint}")
    # A figure's line of features is called by the entry that its methods go back to.
    for method in dict.fromkeys([*asked, *map(config.family, study.methods)]):
        if method in (scheme.name for scheme in study.schemes):
            raise ValueError(
                f"{where}: '{method}' is a scheme and a method, which its tables could not tell apart; rename "
                f"methods.{method}"
            )
    for modality in study.local:
        if modality not in config.modalities:
            hint = plugins.did_you_mean(modality, config.modalities)
            raise ValueError(f"{where}.local: '{modality}' is not one of modalities{hint}")
    schemes = {s.name: plugins.load("semcom.baselines.schemes", s.name) for s in config.baseline_schemes(name)}
    called = {scheme.LABEL: scheme_name for scheme_name, scheme in schemes.items()}
    for method in dict.fromkeys([*study.methods, *map(config.family, study.methods)]):
        if config.label(method) in called:
            raise ValueError(
                f"methods.{method}.label: '{config.label(method)}' is also what scheme '{called[config.label(method)]}' of "
                f"{where} is called; name the method otherwise"
            )
    needs = {scheme.NEEDS: scheme_name for scheme_name, scheme in schemes.items()}
    if "local" in needs:
        for modality in config.modalities:
            if modality not in study.local or config.modalities_of(study.local[modality]) != [modality]:
                raise ValueError(
                    f"{where}.local: scheme '{needs['local']}' needs a classifier of {modality} alone; name a method whose "
                    f"`modalities` is [{modality}] as {modality}"
                )
    if "server" in needs and (
        study.server is None or set(config.modalities_of(study.server)) != set(config.modalities)
    ):
        raise ValueError(
            f"{where}.server: scheme '{needs['server']}' needs a classifier of all modalities; name a method of them"
        )
    for modality, method in study.local.items():
        _check_trained_without_noise(config, f"{where}.local.{modality}", method)
    if study.server is not None:
        _check_trained_without_noise(config, f"{where}.server", study.server)
    for method in study.methods:
        own = config.channel_settings(method)
        if own.snr_trace is not None:
            raise ValueError(
                f"{where}.methods: '{method}' is trained along a trace, {config.where(method, 'channel')}.snr_trace, and "
                "the study is over SNRs of its own; leave the method out"
            )
        for part in ("fading", "estimation", "equalizer", "snr_offset_db"):
            if getattr(own, part) != getattr(config.shared_channel(), part):
                raise ValueError(
                    f"{where}.methods: '{method}' has another channel.{part} than the schemes, which take that of "
                    "`channel:`; set it there, or leave the method out"
                )
    for uses in study.channel_uses:
        if math.log2(uses) > LONGEST_WORD_BITS:
            raise ValueError(f"{where}.channel_uses: {uses} is more than {2**LONGEST_WORD_BITS}; lower it")


def _check_trained_without_noise(config: Config, where: str, method: str) -> None:
    """A classifier of a device or of the server sees features that crossed no air."""
    channel = config.channel_settings(method)
    at, training = config.where(method, "channel"), config.where(method, "finetune")
    for wrong, what, remedy in (
        (
            config.finetune_settings(method).snr_range_db is not None,
            f"draws its SNR from {training}.snr_range_db",
            f"set methods.{method}.finetune.snr_range_db to null",
        ),
        (
            channel.snr_trace is not None,
            f"goes along {at}.snr_trace",
            f"set methods.{method}.channel.snr_trace to null",
        ),
        (
            channel.estimation.name != "perfect",
            f"has {at}.estimation '{channel.estimation.name}'",
            f"set methods.{method}.channel.estimation to perfect",
        ),
        (
            channel.fading.name != "awgn",
            f"has {at}.fading '{channel.fading.name}'",
            f"set methods.{method}.channel.fading to awgn",
        ),
    ):
        if wrong:
            raise ValueError(
                f"{where}: needs a classifier trained without noise and fading, and '{method}' {what}; {remedy}, or name "
                "another method"
            )


def _check_baselines_need(config: Config, where: str) -> None:
    """What all baselines need of the rest of the configuration."""
    for wrong, what in (
        (not config.keep_systems, "needs the trained links; set keep_systems to true"),
        (math.inf not in config.grid.snr_db, "needs classifiers trained without noise; add .inf to grid.snr_db"),
        (
            not config.data.validation_fraction,
            "counts confusions on validation rooms, and data.validation_fraction is 0; raise it",
        ),
        (config.data.withhold_test, "is scored on test scenes, and data.withhold_test keeps them; set it to false"),
        (
            config.channel.snr_trace is not None,
            "is over SNRs of its own, and channel.snr_trace is given; set it to null",
        ),
        (
            config.channel.estimation.name != "perfect",
            f"decodes with h known, and channel.estimation is '{config.channel.estimation.name}'; set it to perfect",
        ),
    ):
        if wrong:
            raise ValueError(f"{where}: {what}, or {where} to null")
