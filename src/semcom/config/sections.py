"""The configuration's sections: one model each, the one source of keys, types and bounds. `experiment.py` checks them together."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from semcom.common.settings import Settings, from_paper, in_words, ours, silent
from semcom.common.spelling import spelled_number

LONGEST_NUMBER = 32  # characters, of a part of a path

Name = Annotated[  # of a file or folder, among other things
    str,
    StringConstraints(
        pattern=in_words(r"^[A-Za-z0-9][A-Za-z0-9_-]*$", "of letters, digits, _ and -, the first a letter or a digit"),
        max_length=100,
    ),
]
Label = Annotated[  # a line of text in a figure
    str, StringConstraints(pattern=in_words(r"^[^\x00-\x1f]+$", "one line of text, without tabs"), max_length=60)
]
Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]


def _countable(snr_db: float) -> float:
    """An SNR in dB, if a number holds the power that it stands for.

    Raises:
        ValueError: it is finite, and beyond 300.
    """
    if 300 < snr_db < math.inf:
        raise ValueError(f"{snr_db:g} is above 300; take at most 300, or .inf for a link without noise")
    return snr_db


Decibels = Annotated[  # of an SNR; infinite without noise. Noise of 10^30 times the signal's power still is a float32
    float,
    AllowInfNan(),
    Field(ge=-300),
    AfterValidator(_countable),
    BeforeValidator(lambda given: math.inf if given in ("inf", ".inf") else given),
]
Offset = Annotated[float, Field(ge=-300, le=300)]  # in dB, of one device from the others
Span = Annotated[list[float], Field(min_length=2, max_length=2)]
DecibelSpan = Annotated[list[Annotated[float, Field(ge=-300, le=300)]], Field(min_length=2, max_length=2)]


def distinct(values: list | None) -> list | None:
    """The values, if none stands twice.

    Raises:
        ValueError: one does.
    """
    if values is not None and len(set(values)) < len(values):
        raise ValueError(f"lists a value twice: {values}")
    return values


class RoomsSettings(Settings):
    train_scenes: int = ours("rendered training scenes", ge=40)
    test_scenes: int = ours("rendered test scenes", ge=40)
    width: int = ours("image width in pixels", ge=16)
    height: int = ours("image height in pixels", ge=16)
    seed: int = ours("seed of the rendered rooms", ge=0)


class RemoteFile(Settings):
    urls: list[str] = ours("addresses, tried in turn", min_length=1)
    sha256: str = ours(
        "checksum of the file", pattern=in_words(r"^[0-9a-f]{64}$", "the 64 digits (0-9, a-f) that sha256sum prints")
    )
    bytes: int = ours("size of the file", gt=0)


class DataSettings(Settings):
    reader: str = from_paper("data set: the name of a module in src/semcom/data/readers", "Sec. IV-A")
    files: dict[Name, str | None] = ours(
        "your own files and folders, by the names in the reader's FILES; null or left out: downloaded, or rendered"
    )
    download: dict[Name, RemoteFile] | None = ours("where to download files from, by the same names")
    image_size: int = from_paper("side in pixels that every scene is resized to", "Sec. IV-A", ge=8)
    validation_fraction: float = from_paper(
        "share of the official training scenes held out, by whole rooms", "Sec. IV-A: all 795 train", ge=0, lt=1
    )
    validation_seed: int = ours("seed of the validation cut", ge=0)
    withhold_test: bool = ours("keep the test scenes from every run: for choosing settings on validation rooms")
    rooms: RoomsSettings | None = ours("size of the built-in data set, rendered where reader is rooms")

    @field_validator("files")
    @classmethod
    def _given(cls, files: dict[str, str | None]) -> dict[str, str | None]:
        return {name: path for name, path in files.items() if path is not None}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rooms is not None and self.reader != "rooms":
            raise ValueError(f"rooms: gives a size, but reader is '{self.reader}'; set reader: rooms, or rooms: null")
        if self.reader == "rooms" and self.rooms is None and not self.files:
            raise ValueError("reader is rooms, but rooms: is null; give its size")
        if self.withhold_test and not self.validation_fraction:
            raise ValueError(
                "withhold_test: without validation rooms nothing is left to evaluate; set validation_fraction"
            )
        return self


class EncoderSettings(Settings):
    backbone: str = from_paper(
        "network of an encoder up to its pooled features: a module of src/semcom/models/backbones",
        "Sec. IV-A: ResNet-18",
    )
    options: dict[str, Any] = ours("the backbone's own settings, checked against its Options", default={})
    features: int = silent("K: features a device sends per scene", ge=2)
    width: int = from_paper("channels of the backbone's first stage; ResNet-18 has 64", "Sec. IV-A", ge=4)
    stem: Literal["imagenet", "small"] = from_paper(
        "imagenet: 7x7 stride 2 and max-pool; small: 3x3 stride 1, for images of 32 px", "Sec. IV-A"
    )
    hidden: list[Positive] = silent(
        "widths of layers (each with batch norm and ReLU) between the backbone's pooled features and the K; as a projector, "
        "but z, what is transmitted, is what lies behind them",
        default_factory=list,
    )
    weights: dict[str, str] = from_paper(
        "local state dict per modality that the backbone starts from, its classifier left out",
        "Algorithm 1: random weights",
    )
    feature_normalization: Literal["none", "batch"] = silent(
        "batch: each feature of z is standardised over the batch, and by running statistics in evaluation",
        default="none",
    )


class ViewSettings(Settings):
    crop_scale: Span = silent("area of the crop as a share of the scene, drawn uniformly")
    crop_ratio: Span = silent("aspect ratio of the crop, drawn log-uniformly")
    flip: float = silent("probability of a horizontal flip", ge=0, le=1)
    brightness: float = silent("RGB brightness factor drawn from 1 +- this", ge=0, lt=1)
    contrast: float = silent("RGB contrast factor drawn from 1 +- this", ge=0, lt=1)
    saturation: float = silent("RGB saturation factor drawn from 1 +- this", ge=0, lt=1)
    hue: float = silent("RGB hue rotation drawn from +- this share of a turn", ge=0, le=0.5)
    grayscale: float = silent("probability of dropping colour", ge=0, le=1)
    depth_gain: float = silent("metric depth scaled by a factor from 1 +- this", ge=0, lt=1)
    blur: float = silent("probability of a Gaussian blur", ge=0, le=1)
    blur_sigma: Span = silent("standard deviation of the blur in pixels of the view")
    aligned: bool = silent("the same crop and flip for all modalities of a scene")

    @field_validator("crop_scale", "crop_ratio", "blur_sigma")
    @classmethod
    def _ascending(cls, span: list[float]) -> list[float]:
        if not 0 < span[0] <= span[1]:
            raise ValueError(f"must be two positive numbers in ascending order, got {span}")
        return span


class AugmentationSettings(Settings):
    crop_size: int = from_paper("side in pixels of what an encoder sees", "Sec. IV-A", ge=8)
    evaluation_crop_scale: float = silent(
        "area of the centre crop that evaluation takes, as a share of the scene", gt=0, le=1
    )
    depth_encoding: Literal["metres", "inverse", "log"] = silent(
        "what encoders see of a modality in metres: itself, its inverse, or its logarithm", default="metres"
    )
    pretrain: ViewSettings = ours("views of stage I")
    finetune: ViewSettings = ours("views of stage II")


class ScheduleSettings(Settings):
    epochs: int = from_paper("passes over the stage's training scenes", "Sec. IV-A: 500", gt=0)
    batch_size: int = from_paper("B, scenes in a batch", "Sec. IV-A: 64", ge=2)
    drop_last: bool = silent("leave out what remains of an epoch after the last whole batch")
    optimizer: Literal["sgd", "adamw", "lars"] = from_paper(
        "sgd; or adamw, lars, which let biases and normalisation layers decay not at all", "Sec. IV-A: SGD"
    )
    momentum: float = silent("momentum of SGD and LARS, first beta of AdamW", ge=0, lt=1)
    weight_decay: float = silent("L2 penalty of SGD and LARS, named but not printed; decoupled in AdamW", ge=0)
    warmup_epochs: float = silent("linear warm-up of the learning rate", ge=0)
    decay: Literal["cosine", "constant"] = silent("learning rate schedule, named but not printed")
    clip_gradient_norm: float | None = silent("clip the gradient's norm to this", gt=0)
    diverged_gradient_norm: float = silent("a gradient norm beyond this ends the run as diverged", gt=0)

    @model_validator(mode="after")
    def _warm_up_fits(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be below epochs ({self.epochs})")
        return self


class PretrainSettings(ScheduleSettings):
    learning_rate: float = silent("peak learning rate of stage I", gt=0)


class FinetuneSettings(ScheduleSettings):
    encoder_learning_rate: float = silent("peak learning rate of the encoders", gt=0)
    decoder_learning_rate: float = silent("peak learning rate of the decoder", gt=0)
    frozen_epochs: int = from_paper(
        "epochs at the start, or all, in which the decoder alone learns, from encoders as stage I left them",
        "Algorithm 1: none",
        ge=0,
    )
    evaluate_every_rounds: int = silent("rounds between two evaluations", gt=0)
    channel_draws: int = silent("channel realisations that an evaluation averages over", gt=0)
    snr_range_db: DecibelSpan | None = from_paper(
        "train each scene at an SNR drawn evenly from this range, in dB, instead of the grid's; evaluation keeps to the "
        "grid's",
        "Sec. IV-A: one SNR a run",
        default=None,
    )
    modality_dropout: float = from_paper(
        "probability, scene by scene in training, that the server gets zeros in the place of a device; never of all of them",
        "Algorithm 1: none",
        ge=0,
        lt=1,
        default=0.0,
    )

    @field_validator("snr_range_db")
    @classmethod
    def _range(cls, span: list[float] | None) -> list[float] | None:
        if span is not None and span[0] >= span[1]:
            raise ValueError(f"must be two numbers in ascending order, got {span}")
        return span

    @model_validator(mode="after")
    def _thaws(self) -> Self:
        if self.frozen_epochs != self.epochs <= self.frozen_epochs + self.warmup_epochs:
            raise ValueError(
                f"frozen_epochs ({self.frozen_epochs}) leaves the encoders no epoch after the warm-up "
                f"(warmup_epochs {self.warmup_epochs}): their sum must be below epochs ({self.epochs}); or set "
                f"frozen_epochs to {self.epochs} to keep the encoders frozen to the end"
            )
        return self


class DecoderSettings(Settings):
    hidden: list[Positive] = silent("hidden layers of the server's MLP")
    dropout: float = silent("dropout before each layer of the MLP", ge=0, lt=1)


class BlockSettings(BaseModel):
    """A block of the link: its name, or {name: ..., option: value, ...} where its file has options."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    name: str

    @model_validator(mode="before")
    @classmethod
    def _by_name_alone(cls, given: Any) -> Any:
        if not isinstance(given, str | dict | cls):
            raise ValueError(f"value {given!r} is not possible; give a name, or {{name: ..., and its options}}")
        return {"name": given} if isinstance(given, str) else given

    @model_serializer
    def _as_written(self) -> str | dict[str, Any]:
        return {"name": self.name, **self.options} if self.options else self.name

    @property
    def options(self) -> dict[str, Any]:
        """What the configuration sets of the block's own `Options`."""
        return dict(self.model_extra)


LinkBlock = Annotated[
    BlockSettings,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            ]
        }
    ),
]


class ChannelSettings(Settings):
    modulation: LinkBlock = from_paper(
        "what is sent per channel use, and which power the SNR refers to: a module in src/semcom/link/modulation, here "
        "and below by name, or as {name: ..., option: value} where it has options",
        "eq. (2)",
    )
    fading: LinkBlock = from_paper("h: a module in src/semcom/link/fading", "Sec. IV-A: AWGN")
    estimation: LinkBlock = silent(
        "what the server knows of h: a module in src/semcom/link/estimation", default=BlockSettings(name="perfect")
    )
    equalizer: LinkBlock = silent(
        "use of what the server knows of h: a module in src/semcom/link/equalizer; auto: mmse under fading, else zero_forcing"
    )
    snr_offset_db: dict[str, Offset] = silent("per-device offset to the grid's SNR, or to that of snr_trace")
    snr_trace: str | None = from_paper(
        "CSV file of each device's SNR in dB by round (columns round, device, snr_db), in the place of the grid's SNR: in "
        "training one round a round, in evaluation one round a scene",
        "Sec. IV-A: one SNR",
        default=None,
    )


class MethodSettings(Settings):
    like: str | None = ours("method whose entry this one starts from; here then stands only what differs", default=None)
    modalities: list[Name] | None = ours(
        "devices of this method, some of `modalities:`; null: all of them", default=None, min_length=1
    )
    label: Label | None = ours(
        "name in figures and in the report's tables, $...$ as math; null: from the entry's key", default=None
    )
    loss: str | None = ours("stage I loss: a module of src/semcom/losses; null trains from random weights")
    options: dict[str, Any] = ours("the loss's own settings, checked against its Options", default={})
    projector: list[Positive] = silent("widths of an MLP between z and the loss, thrown away after stage I", default=[])
    pretrained_by: str | None = ours(
        "method from whose stage I this one's stage II starts; null: its own", default=None
    )
    encoder: dict[str, Any] = ours("keys of `encoder:` that this method overrides", default={})
    augmentation: dict[str, Any] = ours("keys of `augmentation:` that this method overrides", default={})
    pretrain: dict[str, Any] = ours("keys of `pretrain:` that this method overrides", default={})
    finetune: dict[str, Any] = ours("keys of `finetune:` that this method overrides", default={})
    channel: dict[str, Any] = ours("keys of `channel:` that this method overrides", default={})
    decoder: dict[str, Any] = ours("keys of `decoder:` that this method overrides", default={})


class ConditionSettings(Settings):
    label: Label | None = ours("name in figures and tables; null: from the entry's key", default=None)
    channel: dict[str, Any] = ours("keys of `channel:` that differ at test from a method's own", default={})
    silent: dict[Name, Literal["zeros", "noise"]] = ours(
        "devices that do not send: zeros, where the server knows it; noise, where it takes what it receives for features",
        default={},
    )


class EvaluationSettings(Settings):
    methods: list[str] | None = ours("methods of the grid to evaluate; null: all", default=None, min_length=1)
    snr_db: list[Decibels] | None = ours(
        "SNRs in dB to test at, each system at each; null: the SNR that it was trained at", default=None, min_length=1
    )
    channel_draws: int | None = ours("channel realisations; null: finetune.channel_draws", default=None, gt=0)
    figure: Literal["curves", "map", "conditions", "uses"] | None = ours(
        "figures/<name>: curves of accuracy against SNR at test, a map of trained by tested SNR, conditions in rows, or "
        "accuracy against the channel uses of an inference, with the limit of the channel; null: the table alone",
        default=None,
    )
    conditions: dict[Name, ConditionSettings] = ours(
        "what else may differ at test, by names of your own; the summary compares each to the first; left out: "
        "`as_trained` alone, in which nothing differs",
        default={"as_trained": ConditionSettings()},
        min_length=1,
    )

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        if self.figure in ("curves", "map") and (self.snr_db is None or len(self.snr_db) < 2):
            raise ValueError(f"figure: {self.figure} is over the SNR at test; give two or more under snr_db")
        if self.figure == "curves" and math.inf in self.snr_db:
            raise ValueError(
                "figure: curves has no place for .inf on its axis; leave it out of snr_db, or take conditions"
            )
        if self.figure in ("map", "uses") and len(self.conditions) > 1:
            raise ValueError(f"figure: {self.figure} shows one condition; leave one under conditions, or take curves")
        return self

    @field_validator("methods", "snr_db")
    @classmethod
    def _distinct(cls, values: list | None) -> list | None:
        return distinct(values)


class BaselinesSettings(Settings):
    schemes: list[LinkBlock] = ours(
        "what devices send instead of features: modules of src/semcom/baselines/schemes, by name or as {name: ..., "
        "option: value}",
        min_length=1,
    )
    local: dict[Name, str] = ours(
        "of each device the method of the grid that is its own classifier, for schemes that send what it finds",
        default={},
    )
    server: str | None = ours(
        "method of the grid that is the server's classifier of images, for schemes that send those", default=None
    )
    methods: list[str] = ours("methods of the grid whose features are compared to the schemes", min_length=1)
    snr_db: list[Decibels] = ours("SNRs in dB to answer at, a panel each; .inf: no noise", min_length=1)
    channel_uses: list[Positive] = ours("channel uses that each device has for one inference", min_length=1)
    channel_draws: int | None = ours("channel realisations; null: finetune.channel_draws", default=None, gt=0)

    @field_validator("snr_db", "channel_uses", "methods")
    @classmethod
    def _distinct(cls, values: list) -> list:
        return distinct(values)

    @field_validator("schemes")
    @classmethod
    def _distinct_schemes(cls, schemes: list[BlockSettings]) -> list[BlockSettings]:
        distinct([scheme.name for scheme in schemes])
        return schemes


class GridSettings(Settings):
    methods: list[str] = from_paper("methods to compare, in the order of the legends", "Sec. IV-A", min_length=1)
    snr_db: list[Decibels] = from_paper(
        "SNR per channel use in dB, a panel each; .inf: no noise", "Fig. 4, 5: 10 and 20", min_length=1
    )
    label_fractions: list[Fraction] = from_paper("labelled share of the training scenes", "Fig. 4, 5", min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = silent("one run each", min_length=1)

    @field_validator("methods", "snr_db", "label_fractions", "seeds")
    @classmethod
    def _distinct(cls, values: list) -> list:
        return distinct(values)

    @field_validator("snr_db", "label_fractions")
    @classmethod
    def _short(cls, values: list[float]) -> list[float]:
        for value in values:
            if len(spelled_number(value)) > LONGEST_NUMBER:
                raise ValueError(
                    f"{value!r} takes more than {LONGEST_NUMBER} characters in the path of a run; round it, as no result "
                    "depends on that many digits"
                )
        return values


class TableSettings(Settings):
    last_evaluations: int = silent("k: final accuracy is the mean of the last k evaluations", gt=0)
    smooth_evaluations: int = silent("running mean before a target counts as reached", gt=0)
    hold_evaluations: int = silent("evaluations for which a reached target must hold", gt=0)
    targets: list[Fraction] = silent("targets as shares of the supervised plateau", min_length=1)
    trials: Name | None = ours(
        "tables/<this>.csv compares the settings of the grid on validation rooms; null: no such table", default=None
    )
    trials_kind: Literal["ranking", "ablation"] = ours(
        "ranking: best first; ablation: in the grid's order, each over the one it is like, with figures/<trials>",
        default="ranking",
    )

    @field_validator("targets")
    @classmethod
    def _distinct(cls, values: list) -> list:
        return distinct(values)


class LedgerSettings(Settings):
    bits_per_value: int = silent("bits a digital link would spend on one real value", gt=0)
    bandwidth_hz: float = silent("bandwidth in Hz, for airtime alone: no accuracy depends on it", default=1.0e6, gt=0)
    roll_off: float = silent(
        "roll-off of the pulses, for airtime alone: bandwidth / (1 + roll-off) symbols a second",
        default=0.25,
        ge=0,
        le=1,
    )


class AccuracyBySettings(Settings):
    x: str = ours("label_fraction, snr_db, or a setting in which methods differ, such as encoder.features")
    methods: list[str] | None = ours(
        "methods of the grid to show; null: all that have the setting", default=None, min_length=1
    )
    lines: dict[Label, Annotated[list[str], Field(min_length=1)]] | None = ours(
        "methods that make a line, by its name; null: on a setting, those that are `like` one entry",
        default=None,
        min_length=1,
    )
    label: Label | None = ours("name of the axis, with its unit; null: its key", default=None)
    scale: Literal["linear", "log"] = ours("of the axis", default="linear")

    @field_validator("methods")
    @classmethod
    def _distinct(cls, values: list | None) -> list | None:
        return distinct(values)

    @field_validator("lines")
    @classmethod
    def _distinct_on_lines(cls, lines: dict | None) -> dict | None:
        distinct([method for line in (lines or {}).values() for method in line])
        return lines


class FigureSettings(Settings):
    figure4_label_fraction: Fraction | None = from_paper("labelled share in figure 4; null: no figure", "Fig. 4: all")
    figure5_label_fraction: Fraction | None = from_paper("labelled share in figure 5; null: no figure", "Fig. 5: half")
    accuracy_by: dict[Name, AccuracyBySettings | None] = ours(
        "figures/<name> and tables/<name>.csv of accuracy at the end of training; null: not that one", default={}
    )
    costs: list[Literal["channel_uses", "bits", "airtime"]] = ours(
        "figures 4 and 5 once more against each of these costs, with stage I free and priced; []: none", default=[]
    )

    @field_validator("accuracy_by")
    @classmethod
    def _asked(cls, figures: dict[str, AccuracyBySettings | None]) -> dict[str, AccuracyBySettings | None]:
        return {name: figure for name, figure in figures.items() if figure is not None}

    @field_validator("costs")
    @classmethod
    def _distinct(cls, values: list) -> list:
        return distinct(values)


class ComputeSettings(Settings):
    device: str = ours(
        "auto takes a GPU where there is one; or cpu, cuda, cuda:1, mps",
        pattern=in_words(r"^(auto|cpu|mps|cuda(:\d+)?)$", "auto, cpu, cuda, cuda:1 or another number, or mps"),
    )
    threads: int = ours("CPU threads of one training job; part of the result to the last bit", gt=0)
    data_in_memory_mb: int = ours(
        "a data set larger than this, as integers, stays on disk and is read batch by batch through a memory map", gt=0
    )
    precision: Literal["auto", "float32", "bfloat16"] = silent(
        "arithmetic of the encoders; losses stay in float32. auto: bfloat16 where the device computes it natively, else "
        "float32, decided when a run begins"
    )
    channels_last: Literal[True, False, "auto"] = ours(
        "memory format of the images; results differ in the last bits only. auto: true on a CPU, and elsewhere with bfloat16"
    )
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = ours(
        "mode of torch.compile for the encoders; reduce-overhead replays CUDA graphs on a GPU"
    )
    tf32: bool = ours("let a GPU round float32 products to TF32; on a CPU it changes nothing")
    deterministic: bool = ours("refuse operations whose result may differ between two runs")
