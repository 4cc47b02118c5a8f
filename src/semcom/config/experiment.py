"""The typed configuration, checked as a whole before the workflow builds its graph.

The models of `sections.py` are the one source of keys, types and bounds; `reference.py` writes the JSON schema and the
table of docs/choices.md from them. Values live in the files alone, which `loading.py` reads.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import field_validator, model_validator

from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.common.settings import Settings, from_paper, ours, validated
from semcom.common.spelling import spelled_number
from semcom.config import channel_counts, figure_axes, questions
from semcom.config.merging import merged
from semcom.config.sections import (
    AugmentationSettings,
    BaselinesSettings,
    BlockSettings,
    ChannelSettings,
    ComputeSettings,
    DataSettings,
    DecoderSettings,
    EncoderSettings,
    EvaluationSettings,
    FigureSettings,
    FinetuneSettings,
    GridSettings,
    LedgerSettings,
    MethodSettings,
    Name,
    PretrainSettings,
    TableSettings,
    distinct,
)

READER_OFFERS = ("FILES", "MODALITIES", "open_scenes")  # see semcom.data.source
LOSS_OFFERS = ("Options", "terms", "views_exchanged")  # see semcom.losses
BACKBONE_OFFERS = ("Options", "extractor", "FIRST_LAYER", "CLASSIFIER")  # see semcom.models.backbones
LINK_OFFERS = {  # see the packages of these names in semcom.link
    "modulation": ("Options", "SYMBOL_POWER", "channel_uses", "received_values", "modulate", "demodulate"),
    "fading": ("Options", "coefficients", "mean"),
    "estimation": ("Options", "channel_uses", "estimate", "error_power"),
    "equalizer": ("Options", "equalize"),
}
SCHEME_OFFERS = ("Options", "LABEL", "NEEDS", "channel_uses", "work")  # see semcom.baselines.schemes
RESERVED = {  # folders below results/ that are of no experiment
    "downloads": "raw files",
    "reference": "what is kept of experiments",
    "benchmarks": "what steps and jobs cost",
    "slurm_logs": "the logs of SLURM jobs",
    "sizes": "experiments side by side",
    "compared": "experiments side by side",
    "png-rooms": "the built-in rooms as a folder of images",
}
STUDY_PARTS = ("_verdict", "_training")  # further tables of each of `baselines:`
PROPOSED = "proposed"  # the method that the paper's claims are about
BASELINE = "supervised"  # the method that they, and ratios in the tables, refer to
MAJORITY = "majority_class"  # a row of an evaluation's summary: what always answering the most frequent class gives
EVALUATION_PARTS = ("_summary",)  # further tables of each of `evaluations:`
NAMES = {
    PROPOSED: "Proposed",
    "simclr": "SimCLR",
    "barlow_twins": "Barlow Twins",
    BASELINE: "Supervised",
}  # the paper's


def default_label(method: str) -> str:
    """What a method is called where the configuration gives it no label."""
    return NAMES.get(method) or method.replace("_", " ")


@dataclass(frozen=True)
class TraceUse:
    """A channel trace by its key in the configuration, the methods whose links go along it, and whether they train so."""

    key: str
    path: str
    methods: list[str]
    trains: bool


def marked(path: str) -> str | None:
    """What is wrong with the path of an input in which Snakemake would replace a part; None for any other."""
    marks = sorted(set(path) & set("{}<>"))
    if not marks:
        return None
    return (
        f"'{path}' holds {' '.join(marks)}, by which Snakemake marks parts of a path to be replaced; rename what is called so, "
        "or make a symbolic link with a plain name to it"
    )


class Config(Settings):
    extends: str | None = ours(
        "the file that this one stands on and replaces parts of, relative to this file's folder; without this key "
        "config/config.yaml; null: none, this file is complete",
        default=None,
        exclude=True,  # what is kept of a configuration is whole
    )
    experiment: Name = ours("name of the folder under results/")
    modalities: list[Name] = from_paper("one edge device each", "Sec. IV: RGB and depth", min_length=1)
    data: DataSettings
    encoder: EncoderSettings
    augmentation: AugmentationSettings
    methods: dict[Name, MethodSettings]
    pretrain: PretrainSettings
    finetune: FinetuneSettings
    channel: ChannelSettings
    decoder: DecoderSettings
    grid: GridSettings
    ledger: LedgerSettings
    tables: TableSettings
    figures: FigureSettings
    compute: ComputeSettings
    keep_systems: bool = ours(
        "keep each trained link, system.safetensors, for `evaluations:`; false: only what it answered at its end",
        default=True,
    )
    evaluations: dict[Name, EvaluationSettings | None] = ours(
        "tables/<name>.csv of the trained links under other conditions, without training; null: not that one",
        default={},
    )

    baselines: dict[Name, BaselinesSettings | None] = ours(
        "figures/<name> and tables/<name>.csv of other ways to the server over the same link, beside features; null: not "
        "that one",
        default={},
    )

    @field_validator("evaluations", "baselines")
    @classmethod
    def _asked(cls, asked: dict[str, Settings | None]) -> dict[str, Settings]:
        return {name: settings for name, settings in asked.items() if settings is not None}

    @field_validator("modalities")
    @classmethod
    def _distinct(cls, values: list) -> list:
        return distinct(values)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_names()
        for key, package, name in [
            ("data.reader", "semcom.data.readers", self.data.reader),
            ("encoder.backbone", "semcom.models.backbones", self.encoder.backbone),
            *((f"methods.{m}.loss", "semcom.losses", s.loss) for m, s in self.methods.items() if s.loss),
        ]:
            known = plugins.names(package)
            if name not in known:
                raise ValueError(f"{key}: no module '{name}' in {package}{plugins.did_you_mean(name, known)}")
        self._check_reader()
        for method in self.grid.methods:
            if method not in self.methods:
                hint = plugins.did_you_mean(method, list(self.methods))
                raise ValueError(f"grid.methods: '{method}' has no entry under methods{hint}")
        shown = ((4, self.figures.figure4_label_fraction), (5, self.figures.figure5_label_fraction))
        if self.figures.costs and all(fraction is None for _, fraction in shown):
            raise ValueError(
                "figures.costs: draws figures 4 and 5 once more, and both are null; set figures.costs to [], or give a figure "
                "its label fraction"
            )
        for number, fraction in shown:
            if fraction is not None and fraction not in self.grid.label_fractions:
                raise ValueError(
                    f"figures.figure{number}_label_fraction: {fraction} is not one of grid.label_fractions {self.grid.label_fractions}; "
                    "add it there, or set the figure to null"
                )
        self._check_asked_names()
        if self.tables.trials and not self.data.validation_fraction:
            raise ValueError(
                f"tables.trials: '{self.tables.trials}' compares settings on validation rooms, and "
                "data.validation_fraction is 0; raise it, or set tables.trials to null"
            )
        self.shared_channel()
        for method in self.methods:
            self.loss_options(method)
            self.pretrain_settings(method)
            self.finetune_settings(method)
            self.decoder_settings(method)
            self._check_channel(method)
            self._check_encoder(method)
            self._check_backbone(method)
            self._check_crop(method)
            self._check_stage_one(method)
            self._check_own_modalities(method)
        # One that does not run need not fit the others' sizes.
        for method in dict.fromkeys([*self.grid.methods, *self.pretrained_methods()]):
            self._check_modalities(method)
            self._check_shared_features(method)
        for method in self.grid.methods:
            self._check_trace(method)
        self._check_batches()
        self._check_labels()
        for name in self.evaluations:
            questions.check_evaluation(self, name)
        for name in self.baselines:
            questions.check_baselines(self, name)
        for name in self.figures.accuracy_by:
            self.accuracy_by(name)
        return self

    def _check_names(self) -> None:
        """Folders must be told apart, also where a file system takes `A` and `a` for one."""
        if self.experiment.lower() in RESERVED:
            raise ValueError(
                f"experiment: '{self.experiment}' names results/{self.experiment.lower()}, which is for "
                f"{RESERVED[self.experiment.lower()]}; take another name"
            )
        known: dict[str, str] = {}
        for method in self.methods:
            other = known.setdefault(method.lower(), method)
            if other != method:
                raise ValueError(
                    f"methods.{method}: differs from '{other}' by case alone, which not every file system tells apart; "
                    "take another name"
                )

    def _check_asked_names(self) -> None:
        """No two of the tables and figures that are asked for by a name may be of one name, nor of one that rules give.

        A file system may take `A` and `a` for one.
        """
        asked = [("tables.trials", [self.tables.trials])] if self.tables.trials else []
        asked += [(f"figures.accuracy_by.{name}", [name]) for name in self.figures.accuracy_by]
        for section, parts in (("evaluations", EVALUATION_PARTS), ("baselines", STUDY_PARTS)):
            asked += [
                (f"{section}.{name}", [name, *(name + part for part in parts)]) for name in getattr(self, section)
            ]
        owners: dict[str, str] = {}
        for key, files in asked:
            for file in files:
                if file.lower() in figure_axes.TAKEN or file.lower() in owners:
                    owner = f", of {owners[file.lower()]}" if file.lower() in owners else ""
                    raise ValueError(f"{key}: '{file}' is the name of another figure or table{owner}; take a new one")
                owners[file.lower()] = key

    def _check_reader(self) -> None:
        """The raw files and the modalities must be those of the reader."""
        data = self.data
        reader = plugins.load("semcom.data.readers", data.reader, READER_OFFERS)
        if any(file.folder for file in reader.FILES.values()):
            plugins.load("semcom.data.readers", data.reader, ("files_read",))
        for key, named in (("files", data.files), ("download", data.download or {})):
            for name in named:
                if name not in reader.FILES:
                    hint = plugins.did_you_mean(name, list(reader.FILES))
                    raise ValueError(f"data.{key}: '{name}' is not a file of reader '{data.reader}'{hint}")
                if key == "download" and reader.FILES[name].folder:
                    raise ValueError(f"data.download: '{name}' is a folder; name your own under data.files")
        needed = [name for name, file in reader.FILES.items() if file.required]
        for key, named in (("files", data.files), ("download", data.download or {})):
            missing = [name for name in needed if name not in named]
            if named and missing:
                raise ValueError(
                    f"data.{key}: '{missing[0]}' is missing; {' and '.join(needed)} of reader '{data.reader}' belong "
                    "together: give all or none"
                )
        if not (data.files or data.download or data.rooms):
            raise ValueError(
                f"data: no source of scenes; give the paths of {' and '.join(needed)} under data.files, or "
                "data.download, or data.rooms"
            )
        for modality in self.modalities:
            if modality not in reader.MODALITIES:
                hint = plugins.did_you_mean(modality, list(reader.MODALITIES))
                raise ValueError(f"modalities: '{modality}' is not one of reader '{data.reader}'{hint}")

    def _check_encoder(self, method: str) -> None:
        where, encoder = self.where(method, "encoder"), self.encoder_settings(method)
        for modality in encoder.weights:
            if modality not in self.modalities:
                hint = plugins.did_you_mean(modality, self.modalities)
                raise ValueError(f"{where}.weights: '{modality}' is not one of modalities{hint}")
        modulation = self.channel_settings(method).modulation.name
        group = getattr(plugins.load("semcom.link.modulation", modulation), "FEATURES_MULTIPLE_OF", 1)
        if encoder.features % group:
            raise ValueError(
                f"{where}.features: {encoder.features} is no multiple of {group}, as {self.where(method, 'channel')}."
                f"modulation '{modulation}' needs; take {encoder.features - encoder.features % group + group}, or "
                "another modulation"
            )

    def _check_backbone(self, method: str) -> None:
        where, encoder = self.where(method, "encoder"), self.encoder_settings(method)
        try:
            backbone = plugins.load("semcom.models.backbones", encoder.backbone, BACKBONE_OFFERS)
        except InputError as error:
            raise ValueError(f"{where}.backbone: {error}") from None
        options = validated(backbone.Options, encoder.options, f"{where}.options")
        stems = getattr(backbone, "STEMS", (encoder.stem,))
        if encoder.stem not in stems:
            raise ValueError(
                f"{where}.stem: backbone {encoder.backbone} has no stem '{encoder.stem}'; take {' or '.join(stems)}"
            )
        least = backbone.least_side(options) if hasattr(backbone, "least_side") else 1
        crop_size = self.augmentation_settings(method).crop_size
        if crop_size < least:
            raise ValueError(
                f"{self.where(method, 'augmentation')}.crop_size: {crop_size} is below the {least} pixels that backbone "
                f"{encoder.backbone} needs; raise it, or take another {where}.backbone"
            )

    def _check_channel(self, method: str) -> None:
        where = self.where(method, "channel")
        for modality in self.channel_settings(method).snr_offset_db:
            if modality not in self.modalities:
                hint = plugins.did_you_mean(modality, self.modalities)
                raise ValueError(f"{where}.snr_offset_db: '{modality}' is not one of modalities{hint}")

    def _with_blocks(self, where: str, channel: ChannelSettings) -> ChannelSettings:
        """A channel with every option of its blocks checked, and the equalizer that `auto` stands for."""
        if channel.equalizer.name == "auto":
            chosen = BlockSettings(name="zero_forcing" if channel.fading.name == "awgn" else "mmse")
            channel = channel.model_copy(update={"equalizer": chosen})
        return channel.model_copy(update={kind: self._block(where, channel, kind) for kind in LINK_OFFERS})

    def _block(self, where: str, channel: ChannelSettings, kind: str) -> BlockSettings:
        """A block of a channel with its options as its file reads them.

        Raises:
            ValueError: there is no such block, or an option is not its own, missing or impossible.
        """
        block, package, key = getattr(channel, kind), f"semcom.link.{kind}", f"{where}.{kind}"
        known = plugins.names(package)
        if block.name not in known:
            raise ValueError(f"{key}: no module '{block.name}' in {package}{plugins.did_you_mean(block.name, known)}")
        options_type = plugins.load(package, block.name, LINK_OFFERS[kind]).Options
        own = list(options_type.model_fields)
        for option, value in block.options.items():
            if option not in own:
                owners = [f"{other} '{name}'" for other, name, options in _link_options() if option in options]
                has = f"; {', '.join(owners)} {'has' if len(owners) == 1 else 'have'}"
                hint = has if owners else plugins.did_you_mean(option, own) if own else "; it has none"
                raise ValueError(f"{key}.{option}: '{block.name}' has no such option (value {value!r}){hint}")
        options = validated(options_type, block.options, key)
        return BlockSettings(name=block.name, **options.model_dump())

    def _check_crop(self, method: str) -> None:
        crop_size = self.augmentation_settings(method).crop_size
        if crop_size > self.data.image_size:
            raise ValueError(
                f"{self.where(method, 'augmentation')}.crop_size: {crop_size} exceeds data.image_size "
                f"{self.data.image_size}, of which it is a crop; lower it, or raise the other"
            )

    def _check_stage_one(self, method: str) -> None:
        source, where = self.methods[method].pretrained_by, f"methods.{method}.pretrained_by"
        if source is None:
            return
        if source not in self.methods:
            raise ValueError(f"{where}: no method '{source}'{plugins.did_you_mean(source, list(self.methods))}")
        if self.methods[source].loss is None or self.methods[source].pretrained_by is not None:
            raise ValueError(
                f"{where}: '{source}' has no stage I of its own; name a method that has a loss and keeps it"
            )
        for section, mine, theirs in (
            ("encoder", self.encoder_settings(method), self.encoder_settings(source)),
            ("pretrain", self.pretrain_settings(method), self.pretrain_settings(source)),
            ("augmentation.pretrain", *(self.augmentation_settings(m).pretrain for m in (method, source))),
            ("augmentation.depth_encoding", *(self.augmentation_settings(m).depth_encoding for m in (method, source))),
            ("options", self.loss_options(method), self.loss_options(source)),
            ("projector", self.methods[method].projector, self.methods[source].projector),
        ):
            if mine is not None and mine != theirs:
                raise ValueError(
                    f"{where}: stage I of '{source}' has another `{section}` than this method; leave out what differs, "
                    "or leave pretrained_by out for a stage I of its own"
                )
        theirs = self.modalities_of(source)
        for modality in self.modalities_of(method):
            if modality not in theirs:
                raise ValueError(
                    f"{where}: stage I of '{source}' has no encoder of {modality}, only of {', '.join(theirs)}; give this "
                    "method `modalities` among them, or leave pretrained_by out for a stage I of its own"
                )

    def where(self, method: str, section: str) -> str:
        """The key a value of a section comes from: the method's own override of it, or the section."""
        return f"methods.{method}.{section}" if getattr(self.methods[method], section) else section

    def _check_modalities(self, method: str) -> None:
        loss = self.methods[method].loss if self.stage_one(method) == method else None
        needed = getattr(plugins.load("semcom.losses", loss), "MIN_MODALITIES", 1) if loss else 1
        modalities = self.modalities_of(method)
        if len(modalities) < needed:
            raise ValueError(
                f"{f'methods.{method}.' if self.methods[method].modalities else ''}modalities: {modalities} are too few for "
                f"method '{method}', whose loss correlates "
                f"{needed}; name more, or leave the method out"
            )

    def _check_shared_features(self, method: str) -> None:
        shared = getattr(self.loss_options(method), "shared_features", 0)
        projector = self.methods[method].projector
        width = projector[-1] if projector else self.encoder_settings(method).features
        if shared > width:
            raise ValueError(
                f"methods.{method}.options.shared_features: K_sha = {shared} exceeds the {width} features that the loss "
                "sees (encoder.features, or the projector's last width); lower it"
            )

    def _check_own_modalities(self, method: str) -> None:
        own, where = self.methods[method].modalities or [], f"methods.{method}.modalities"
        for modality in own:
            if modality not in self.modalities:
                raise ValueError(
                    f"{where}: '{modality}' is not one of modalities{plugins.did_you_mean(modality, self.modalities)}"
                )
        if len(set(own)) < len(own):
            raise ValueError(f"{where}: lists a device twice: {own}")

    def _check_trace(self, method: str) -> None:
        """A trace takes the place of every other SNR of a method's training."""
        if self.channel_settings(method).snr_trace is None:
            return
        where = f"{self.where(method, 'channel')}.snr_trace"
        if self.finetune_settings(method).snr_range_db is not None:
            raise ValueError(
                f"{where}: gives method '{method}' its SNR in training, and so does {self.where(method, 'finetune')}."
                "snr_range_db; set one of them to null"
            )
        if len(self.grid.snr_db) > 1:
            raise ValueError(
                f"{where}: takes the place of grid.snr_db, so that runs of method '{method}' would be the same at each of "
                f"{self.grid.snr_db}; leave one there"
            )

    def condition_labels(self, evaluation: str) -> dict[str, str]:
        """What figures call the conditions of an evaluation."""
        conditions = self.evaluations[evaluation].conditions
        return {name: condition.label or name.replace("_", " ").capitalize() for name, condition in conditions.items()}

    def baseline_schemes(self, name: str) -> list[BlockSettings]:
        """The schemes of a study of baselines, every option checked.

        Raises:
            ValueError: there is no such scheme, or an option is not its own, or impossible.
        """
        package, checked = "semcom.baselines.schemes", []
        known = plugins.names(package)
        for scheme in self.baselines[name].schemes:
            key = f"baselines.{name}.schemes"
            if scheme.name not in known:
                hint = plugins.did_you_mean(scheme.name, known)
                raise ValueError(f"{key}: no module '{scheme.name}' in {package}{hint}")
            options_type = plugins.load(package, scheme.name, SCHEME_OFFERS).Options
            options = validated(options_type, scheme.options, f"{key}.{scheme.name}")
            checked.append(BlockSettings(name=scheme.name, **options.model_dump()))
        return checked

    def condition_channel(self, evaluation: str, condition: str, method: str) -> ChannelSettings:
        """A method's channel with what differs in a condition of an evaluation, every option checked."""
        where = f"evaluations.{evaluation}.conditions.{condition}.channel"
        own = self.evaluations[evaluation].conditions[condition].channel
        values = merged(self._overridden("channel", method).model_dump(), own)
        return self._with_blocks(where, validated(ChannelSettings, values, where))

    def _check_labels(self) -> None:
        """A label names one method of the grid."""
        owners: dict[str, str] = {}
        for method in self.grid.methods:
            other = owners.setdefault(self.label(method), method)
            if other != method:
                raise ValueError(
                    f"methods.{method}.label: '{self.label(method)}' is also what '{other}' is called; name one of them "
                    "otherwise"
                )

    def batches(self) -> dict[str, tuple[str, int]]:
        """Batch sizes of all runs of the grid: by key of the configuration, the stage and the size."""
        found = {}
        for stage, methods in (("pretrain", self.pretrained_methods()), ("finetune", self.grid.methods)):
            for method in methods:
                own = "batch_size" in getattr(self.method(method), stage)
                size = getattr(self, f"{stage}_settings")(method).batch_size
                found[f"methods.{method}.{stage}.batch_size" if own else f"{stage}.batch_size"] = stage, size
        return found

    def _check_batches(self) -> None:
        """No batch may exceed the scenes it is drawn from, as far as the count is known before the data is."""
        total = {"nyud2": 795, "rooms": self.data.rooms.train_scenes if self.data.rooms else None}.get(self.data.reader)
        if total is None or (self.data.files and self.data.reader != "nyud2"):
            return
        kept, least = total * (1 - self.data.validation_fraction), min(self.grid.label_fractions)
        for key, (stage, batch) in self.batches().items():
            scenes = kept if stage == "pretrain" else kept * least
            if batch > scenes:
                raise ValueError(
                    f"{key}: {batch} exceeds the about {scenes:.0f} scenes it is drawn from (label fraction "
                    f"{spelled_number(least)} for finetune); take a smaller batch"
                )

    def check_files(self, source: str) -> None:
        """Files and folders of the user's own must be there before anything runs.

        Args:
            source: the configuration file, for messages.

        Raises:
            InputError: names the key and the file.
        """
        known = plugins.load("semcom.data.readers", self.data.reader).FILES
        files = {f"data.files.{name}": path for name, path in self.data.files.items()}
        folders = {f"data.files.{name}" for name in self.data.files if known[name].folder}
        files |= {key: path for key, (_, path) in self.weights().items()}
        files |= {use.key: use.path for use in self.traces()}
        for key, path in files.items():
            found = Path(path).is_dir() if key in folders else Path(path).is_file()
            if not found:
                full = os.path.expandvars(os.path.expanduser(path))
                remedy = "correct the path, or remove the key if the file is to be downloaded or left out"
                if full != path:
                    remedy = f"~ and $NAME are a shell's; write the path in full: {full}"
                raise InputError(f"{source}: {key}: no {'folder' if key in folders else 'file'} '{path}'; {remedy}")
            if fault := marked(path):
                raise InputError(f"{source}: {key}: {fault}")

    def traces(self) -> list[TraceUse]:
        """Channel traces that runs and evaluations of the grid go along."""
        found: dict[tuple[str, str], TraceUse] = {}

        def note(where: str, method: str, channel: ChannelSettings, *, trains: bool) -> None:
            if path := channel.snr_trace:
                use = TraceUse(f"{where}.snr_trace", path, [], trains)
                found.setdefault((where, path), use).methods.append(method)

        for method in self.grid.methods:
            note(self.where(method, "channel"), method, self.channel_settings(method), trains=True)
        for name, evaluation in self.evaluations.items():
            for condition in evaluation.conditions:
                where = f"evaluations.{name}.conditions.{condition}.channel"
                for method in evaluation.methods or self.grid.methods:
                    note(where, method, self.condition_channel(name, condition, method), trains=False)
        return list(found.values())

    def weights(self) -> dict[str, tuple[str, str]]:
        """Files of weights that runs of the grid start from: by key of the configuration, a method and its file."""
        return {
            f"{self.where(method, 'encoder')}.weights.{modality}": (method, path)
            for method in self.grid.methods
            for modality, path in self.encoder_settings(method).weights.items()
        }

    def method(self, name: str) -> MethodSettings:
        """The entry of a method.

        Raises:
            InputError: no such entry; the message lists those that exist.
        """
        if name not in self.methods:
            raise InputError(
                f"unknown method '{name}'{plugins.did_you_mean(name, list(self.methods))}; "
                "add it under `methods:` of the configuration"
            )
        return self.methods[name]

    def pilots(self, method: str) -> int:
        """Channel uses that a device of a method spends on pilots with each block of features."""
        return channel_counts.pilots(self.channel_settings(method))

    def modalities_of(self, method: str) -> list[str]:
        """The devices of a method: its own, or all."""
        return self.method(method).modalities or self.modalities

    def loss_options(self, method: str) -> Settings | None:
        """The loss's own `Options` of a method, or None where it has no stage I."""
        settings = self.method(method)
        if settings.loss is None:
            return None
        options_type = plugins.load("semcom.losses", settings.loss, LOSS_OFFERS).Options
        return validated(options_type, settings.options, f"methods.{method}.options")

    def family(self, method: str) -> str:
        """The entry that a method goes back to by `like`; itself where it stands on its own."""
        base = self.method(method).like
        return self.family(base) if base else method

    def label(self, method: str) -> str:
        """What figures and the report call a method."""
        return (self.methods[method].label if method in self.methods else None) or default_label(method)

    def labels(self) -> dict[str, str]:
        """`label` of every method of the grid, and of those that they are `like`."""
        named: dict[str, str] = {}
        for method in self.grid.methods:
            step: str | None = method
            while step:
                named[step] = self.label(step)
                step = self.methods[step].like
        return named

    def given_texts(self) -> dict[str, str]:
        """Texts of the user's own that figures show, by their keys."""
        texts = {f"methods.{m}.label": self.methods[m].label for m in self.grid.methods}
        for name, figure in self.figures.accuracy_by.items():
            where = f"figures.accuracy_by.{name}"
            texts |= {f"{where}.label": figure.label} | {f"{where}.lines": line for line in figure.lines or {}}
        for name, evaluation in self.evaluations.items():
            for condition, settings in evaluation.conditions.items():
                texts[f"evaluations.{name}.conditions.{condition}.label"] = settings.label
        return {key: text for key, text in texts.items() if text is not None}

    def settings_of(self, method: str) -> dict[str, Any]:
        """All that is in force for a method, by dotted key; what concerns stage I only where it has one."""
        options = self.loss_options(method)
        settings = {
            section: getattr(self, f"{section}_settings")(method).model_dump()
            for section in ("encoder", "augmentation", "pretrain", "finetune", "channel", "decoder")
        }
        if options is None:
            settings["augmentation"].pop("pretrain")
            del settings["pretrain"]
        else:
            entry = self.method(method)
            settings |= {"loss": entry.loss, "options": options.model_dump(), "projector": entry.projector}
        return dict(figure_axes.flattened(settings))

    def accuracy_by(self, figure: str) -> figure_axes.AccuracyBy:
        """What a figure of `figures.accuracy_by` shows."""
        return figure_axes.accuracy_by(
            figure,
            self.figures.accuracy_by[figure],
            self.grid,
            {method: self.settings_of(method) for method in self.grid.methods},
            {method: self.family(method) for method in self.grid.methods},
        )

    def stage_one(self, method: str) -> str | None:
        """The method whose stage I a method's stage II starts from: mostly itself; None starts from random weights."""
        settings = self.method(method)
        return settings.pretrained_by or (method if settings.loss else None)

    def pretrained_methods(self) -> list[str]:
        """Methods whose stage I the grid needs, each once."""
        return list(dict.fromkeys(filter(None, map(self.stage_one, self.grid.methods))))

    def encoder_settings(self, method: str) -> EncoderSettings:
        """`encoder:` with the method's overrides; another backbone takes neither the section's options nor its weights."""
        own = self.method(method).encoder
        settings = self.encoder
        if own.get("backbone", settings.backbone) != settings.backbone:
            settings = settings.model_copy(update={"options": {}, "weights": {}})
        return validated(EncoderSettings, merged(settings.model_dump(), own), f"methods.{method}.encoder")

    def augmentation_settings(self, method: str) -> AugmentationSettings:
        """`augmentation:` with the method's overrides."""
        return self._overridden("augmentation", method)

    def pretrain_settings(self, method: str) -> PretrainSettings:
        """`pretrain:` with the method's overrides."""
        return self._overridden("pretrain", method)

    def finetune_settings(self, method: str) -> FinetuneSettings:
        """`finetune:` with the method's overrides."""
        return self._overridden("finetune", method)

    def channel_settings(self, method: str) -> ChannelSettings:
        """`channel:` with the method's overrides, every option of its blocks checked."""
        return self._with_blocks(self.where(method, "channel"), self._overridden("channel", method))

    def shared_channel(self) -> ChannelSettings:
        """`channel:` itself, every option of its blocks checked."""
        return self._with_blocks("channel", self.channel)

    def decoder_settings(self, method: str) -> DecoderSettings:
        """`decoder:` with the method's overrides."""
        return self._overridden("decoder", method)

    def _overridden(self, section: str, method: str) -> Any:
        settings = getattr(self, section)
        values = merged(settings.model_dump(), getattr(self.method(method), section))
        return validated(type(settings), values, f"methods.{method}.{section}")


def _link_options() -> Iterator[tuple[str, str, list[str]]]:
    """The kind, name and options of every block that a link can be composed of."""
    for kind in LINK_OFFERS:
        for name in plugins.names(f"semcom.link.{kind}"):
            yield kind, name, list(plugins.load(f"semcom.link.{kind}", name, ("Options",)).Options.model_fields)
