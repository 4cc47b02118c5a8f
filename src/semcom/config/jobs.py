"""One run's settings, cut from the configuration: what crosses from the workflow into a stage, and nothing else.

A rule hands a job to its script as a parameter, so that a run is repeated when, and only when, a value that decides its
result has changed.
"""

from math import inf
from typing import Annotated, Any

from pydantic import PlainSerializer

from semcom.common.errors import InputError
from semcom.common.settings import Settings
from semcom.config.experiment import Config
from semcom.config.sections import (
    BlockSettings,
    ChannelSettings,
    ComputeSettings,
    Decibels,
    DecoderSettings,
    EncoderSettings,
    FinetuneSettings,
    Fraction,
    PretrainSettings,
    ViewSettings,
)


class PretrainJob(Settings):
    """One run of stage I but for its seed: what crosses from the workflow into `semcom.training.pretrain`."""

    experiment: str
    method: str
    modalities: list[str]
    encoder: EncoderSettings
    crop_size: int
    depth_encoding: str
    views: ViewSettings
    loss: str
    options: dict[str, Any]
    projector: list[int]
    schedule: PretrainSettings
    compute: ComputeSettings


class FinetuneJob(Settings):
    """One run of stage II but for its seed: what crosses from the workflow into `semcom.training.finetune`."""

    experiment: str
    method: str
    snr_db: Annotated[Decibels, PlainSerializer(lambda snr: "inf" if snr == inf else snr)]  # JSON has no infinity
    label_fraction: Fraction
    modalities: list[str]
    encoder: EncoderSettings
    crop_size: int
    evaluation_crop_scale: float
    depth_encoding: str
    views: ViewSettings
    schedule: FinetuneSettings
    channel: ChannelSettings
    decoder: DecoderSettings
    bits_per_value: int
    compute: ComputeSettings


class ConditionJob(Settings):
    """What lies between the devices and the server in one condition of an evaluation."""

    channel: ChannelSettings
    silent: dict[str, str]


class EvaluationJob(Settings):
    """One evaluation of the systems of a method: what crosses into `semcom.training.reevaluation`."""

    evaluation: str
    method: str
    snr_db: list[Decibels] | None
    channel_draws: int | None
    conditions: dict[str, ConditionJob]
    compute: ComputeSettings


class BaselinesJob(Settings):
    """A study of baselines, of one seed: what crosses into `semcom.baselines.study`."""

    experiment: str
    study: str
    modalities: list[str]
    schemes: list[BlockSettings]
    local: dict[str, str]
    server: str | None
    methods: list[str]
    snr_db: list[float]
    channel_uses: list[int]
    channel_draws: int
    label_fraction: Fraction
    channel: ChannelSettings
    bits_per_value: int
    compute: ComputeSettings


def pretrain_job(config: Config, method: str) -> PretrainJob:
    """Stage I of a method.

    Raises:
        InputError: the method is unknown, or has no stage I.
    """
    options = config.loss_options(method)
    if options is None:
        raise InputError(f"method '{method}' has no loss, so there is nothing to pre-train; do not ask for it")
    augmentation = config.augmentation_settings(method)
    return PretrainJob(
        experiment=config.experiment,
        method=method,
        modalities=config.modalities_of(method),
        encoder=config.encoder_settings(method),
        crop_size=augmentation.crop_size,
        depth_encoding=augmentation.depth_encoding,
        views=augmentation.pretrain,
        loss=config.method(method).loss,
        options=options.model_dump(),
        projector=config.method(method).projector,
        schedule=config.pretrain_settings(method),
        compute=config.compute,
    )


def finetune_job(config: Config, method: str, snr_db: float, label_fraction: float) -> FinetuneJob:
    """Stage II of a method at one SNR and label fraction.

    Raises:
        InputError: the method is unknown.
    """
    augmentation = config.augmentation_settings(method)
    return FinetuneJob(
        experiment=config.experiment,
        method=method,
        snr_db=snr_db,
        label_fraction=label_fraction,
        modalities=config.modalities_of(method),
        encoder=config.encoder_settings(method),
        crop_size=augmentation.crop_size,
        evaluation_crop_scale=augmentation.evaluation_crop_scale,
        depth_encoding=augmentation.depth_encoding,
        views=augmentation.finetune,
        schedule=config.finetune_settings(method),
        channel=config.channel_settings(method),
        decoder=config.decoder_settings(method),
        bits_per_value=config.ledger.bits_per_value,
        compute=config.compute,
    )


def evaluation_job(config: Config, evaluation: str, method: str) -> EvaluationJob:
    """An evaluation of the systems of a method."""
    settings = config.evaluations[evaluation]
    return EvaluationJob(
        evaluation=evaluation,
        method=method,
        snr_db=settings.snr_db,
        channel_draws=settings.channel_draws,
        conditions={
            name: ConditionJob(channel=config.condition_channel(evaluation, name, method), silent=condition.silent)
            for name, condition in settings.conditions.items()
        },
        compute=config.compute,
    )


def baselines_job(config: Config, study: str) -> BaselinesJob:
    """A study of baselines, with the grid's largest label fraction."""
    settings = config.baselines[study]
    return BaselinesJob(
        experiment=config.experiment,
        study=study,
        modalities=config.modalities,
        schemes=config.baseline_schemes(study),
        local={m: settings.local[m] for m in config.modalities if m in settings.local},
        server=settings.server,
        methods=settings.methods,
        snr_db=settings.snr_db,
        channel_uses=sorted(settings.channel_uses),
        channel_draws=settings.channel_draws or config.finetune.channel_draws,
        label_fraction=max(config.grid.label_fractions),
        channel=config.shared_channel(),
        bits_per_value=config.ledger.bits_per_value,
        compute=config.compute,
    )
