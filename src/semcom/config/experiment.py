"""The typed configuration, checked as a whole before the workflow builds its graph.

The models of `sections.py` are the one source of keys, types and bounds; `config_reference.py` writes the JSON schema
and the README's table of choices from them. Values live in `config/*.yaml` alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import model_validator

from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.common.settings import Settings, from_paper, ours, validated
from semcom.config.sections import (
    AugmentationSettings,
    BlockSettings,
    ChannelSettings,
    ComputeSettings,
    DataSettings,
    DecoderSettings,
    EncoderSettings,
    FigureSettings,
    FinetuneSettings,
    GridSettings,
    LedgerSettings,
    MethodSettings,
    Name,
    PretrainSettings,
    TableSettings,
)

LOSS_OFFERS = ("Options", "terms", "views_exchanged")  # see semcom.losses
LINK_OFFERS = {  # see the packages of these names in semcom.link
    "modulation": ("Options", "SYMBOL_POWER", "channel_uses", "received_values", "modulate", "demodulate"),
    "fading": ("Options", "coefficients"),
    "equalizer": ("Options", "equalize"),
}
PROPOSED = "proposed"  # the method that the paper's claims are about
BASELINE = "supervised"  # the method that they, and ratios in the tables, refer to


class Config(Settings):
    stands_on: list[str] = ours(
        "files of the same folder that must come before this one among the configuration files",
        default=[],
        exclude=True,
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

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key, package, name in [
            ("data.reader", "semcom.data.readers", self.data.reader),
            *((f"methods.{m}.loss", "semcom.losses", s.loss) for m, s in self.methods.items() if s.loss),
        ]:
            known = plugins.names(package)
            if name not in known:
                raise ValueError(f"{key}: no module '{name}' in {package}{plugins.did_you_mean(name, known)}")
        for method in self.grid.methods:
            if method not in self.methods:
                hint = plugins.did_you_mean(method, list(self.methods))
                raise ValueError(f"grid.methods: '{method}' has no entry under methods{hint}")
        for key, fraction in self.figures.model_dump().items():
            if fraction is not None and fraction not in self.grid.label_fractions:
                raise ValueError(
                    f"figures.{key}: {fraction} is not one of grid.label_fractions {self.grid.label_fractions}; "
                    "add it there, or set the figure to null"
                )
        if self.tables.trials and not self.data.validation_fraction:
            raise ValueError(
                f"tables.trials: {self.tables.trials} are compared on validation rooms, and data.validation_fraction "
                "is 0; raise it, or set tables.trials to null"
            )
        for kind in LINK_OFFERS:
            self._block("channel", self.channel, kind)
        for method in self.methods:
            self.loss_options(method)
            self.pretrain_settings(method)
            self.finetune_settings(method)
            self.decoder_settings(method)
            self._check_channel(method)
            self._check_encoder(method)
            self._check_crop(method)
            self._check_stage_one(method)
        for method in self.grid.methods:  # one that does not run need not fit the others' sizes
            self._check_modalities(method)
            self._check_shared_features(method)
            for fraction in self.grid.label_fractions:
                self._check_batches(method, fraction)
        return self

    def _check_encoder(self, method: str) -> None:
        where, encoder = self._where(method, "encoder"), self.encoder_settings(method)
        for modality in encoder.weights:
            if modality not in self.modalities:
                hint = plugins.did_you_mean(modality, self.modalities)
                raise ValueError(f"{where}.weights: '{modality}' is not one of modalities{hint}")
        modulation = self.channel_settings(method).modulation.name
        group = getattr(plugins.load("semcom.link.modulation", modulation), "FEATURES_MULTIPLE_OF", 1)
        if encoder.features % group:
            raise ValueError(
                f"{where}.features: {encoder.features} is no multiple of {group}, as {self._where(method, 'channel')}."
                f"modulation '{modulation}' needs; take {encoder.features - encoder.features % group + group}, or "
                "another modulation"
            )

    def _check_channel(self, method: str) -> None:
        where = self._where(method, "channel")
        for modality in self.channel_settings(method).snr_offset_db:
            if modality not in self.modalities:
                hint = plugins.did_you_mean(modality, self.modalities)
                raise ValueError(f"{where}.snr_offset_db: '{modality}' is not one of modalities{hint}")

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
                hint = f"; {owners[0]} has" if owners else plugins.did_you_mean(option, own) if own else "; it has none"
                raise ValueError(f"{key}.{option}: '{block.name}' has no such option (value {value!r}){hint}")
        options = validated(options_type, block.options, key)
        return BlockSettings(name=block.name, **options.model_dump())

    def _check_crop(self, method: str) -> None:
        crop_size = self.augmentation_settings(method).crop_size
        if crop_size > self.data.image_size:
            raise ValueError(
                f"{self._where(method, 'augmentation')}.crop_size: {crop_size} exceeds data.image_size "
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
        for section, ours, theirs in (
            ("encoder", self.encoder_settings(method), self.encoder_settings(source)),
            ("pretrain", self.pretrain_settings(method), self.pretrain_settings(source)),
            ("augmentation.pretrain", *(self.augmentation_settings(m).pretrain for m in (method, source))),
            ("augmentation.depth_encoding", *(self.augmentation_settings(m).depth_encoding for m in (method, source))),
            ("options", self.loss_options(method), self.loss_options(source)),
            ("projector", self.methods[method].projector, self.methods[source].projector),
        ):
            if ours is not None and ours != theirs:
                raise ValueError(
                    f"{where}: stage I of '{source}' has another `{section}` than this method; leave out what differs, "
                    "or leave pretrained_by out for a stage I of its own"
                )

    def _where(self, method: str, section: str) -> str:
        """The key a value of a section comes from: the method's own override of it, or the section."""
        return f"methods.{method}.{section}" if getattr(self.methods[method], section) else section

    def _check_modalities(self, method: str) -> None:
        loss = self.methods[method].loss
        needed = getattr(plugins.load("semcom.losses", loss), "MIN_MODALITIES", 1) if loss else 1
        if len(self.modalities) < needed:
            raise ValueError(
                f"modalities: {self.modalities} are too few for grid.methods entry '{method}', whose loss correlates "
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

    def _check_batches(self, method: str, label_fraction: float) -> None:
        """No batch may exceed the scenes it is drawn from, as far as the count is known before the data is."""
        total = {"nyud2": 795, "rooms": self.data.rooms.train_scenes if self.data.rooms else None}.get(self.data.reader)
        if total is None or (self.data.labeled_mat and self.data.reader != "nyud2"):
            return
        kept = total * (1 - self.data.validation_fraction)
        for stage, batch, scenes in (
            ("pretrain", self.pretrain_settings(method).batch_size, kept),
            ("finetune", self.finetune_settings(method).batch_size, kept * label_fraction),
        ):
            if batch > scenes:
                raise ValueError(
                    f"{stage}.batch_size: {batch} exceeds the about {scenes:.0f} scenes it is drawn from "
                    f"(label fraction {label_fraction:g} for finetune); take a smaller batch"
                )

    def check_files(self) -> None:
        """Files of the user's own must be there before anything runs.

        Raises:
            InputError: names the key and the file.
        """
        files = {"data.labeled_mat": self.data.labeled_mat, "data.splits_mat": self.data.splits_mat}
        for method in self.grid.methods:
            where, weights = self._where(method, "encoder"), self.encoder_settings(method).weights
            files |= {f"{where}.weights.{modality}": path for modality, path in weights.items()}
        for key, path in files.items():
            if path is not None and not Path(path).is_file():
                raise InputError(
                    f"{key}: no file '{path}'; correct the path, or leave the key as config/config.yaml has it"
                )

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

    def loss_options(self, method: str) -> Settings | None:
        """The loss's own `Options` of a method, or None where it has no stage I."""
        settings = self.method(method)
        if settings.loss is None:
            return None
        options_type = plugins.load("semcom.losses", settings.loss, LOSS_OFFERS).Options
        return validated(options_type, settings.options, f"methods.{method}.options")

    def stage_one(self, method: str) -> str | None:
        """The method whose stage I a method's stage II starts from: mostly itself; None starts from random weights."""
        settings = self.method(method)
        return settings.pretrained_by or (method if settings.loss else None)

    def pretrained_methods(self) -> list[str]:
        """Methods whose stage I the grid needs, each once."""
        return list(dict.fromkeys(filter(None, map(self.stage_one, self.grid.methods))))

    def encoder_settings(self, method: str) -> EncoderSettings:
        """`encoder:` with the method's overrides."""
        return self._overridden("encoder", method)

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
        channel, where = self._overridden("channel", method), self._where(method, "channel")
        return channel.model_copy(update={kind: self._block(where, channel, kind) for kind in LINK_OFFERS})

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


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`: a mapping in both is merged in turn, anything else is replaced.

    Another `name` is another thing with options of its own: of {name: rician, k_factor: 3.0} nothing stays in one that
    is named otherwise.
    """
    both = {
        key: merged(base[key], value)
        for key, value in changes.items()
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping) and not _named_anew(base[key], value)
    }
    return {**base, **changes, **both}


def _named_anew(base: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    return isinstance(changes.get("name"), str) and changes["name"] != base.get("name")


def with_inherited(methods: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of `methods:`, each with what it takes from the one that it is `like`.

    An entry with a loss of its own does not take the other's options.

    Raises:
        ValueError: an entry is like one that does not exist, or like itself in the end.
    """

    def complete(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
        entry = methods[name]
        base = entry.get("like") if isinstance(entry, Mapping) else None
        if base is None:
            return entry
        where = f"methods.{name}.like"
        if base not in methods:
            raise ValueError(f"{where}: no method '{base}'{plugins.did_you_mean(str(base), list(methods))}")
        if base in seen:
            raise ValueError(f"{where}: '{base}' is itself like '{name}'; one of them must stand on its own")
        inherited = complete(base, (*seen, base))
        if not isinstance(inherited, Mapping):
            return entry  # its own check says what is wrong with the other
        if entry.get("loss", inherited.get("loss")) != inherited.get("loss"):
            inherited = {key: value for key, value in inherited.items() if key != "options"}
        return merged(inherited, entry)

    return {name: complete(name, (name,)) for name in methods}


def parse_config(raw: Mapping[str, Any], source: str = "configuration") -> Config:
    """Check a configuration as a whole.

    Raises:
        InputError: one line with the first fault's key, its value and the remedy.
    """
    try:
        if isinstance(raw.get("methods"), Mapping):
            raw = {**raw, "methods": with_inherited(raw["methods"])}
        return validated(Config, raw, "")
    except ValueError as error:
        raise InputError(f"{source}: {error}") from None


def load_config(*paths: str | Path, settings: Mapping[str, Any] | None = None) -> Config:
    """Read and check a configuration, as the workflow reads it: each file replaces what it names in those before it.

    Args:
        paths: the first is complete.
        settings: replaces what all files say.

    Raises:
        InputError: as `parse_config` and `check_order`, or a file is missing or not YAML; the message names it.
    """
    check_order(paths)
    raw: dict[str, Any] = {}
    for path in paths:
        raw = merged(raw, _read(path))
    return parse_config(merged(raw, settings or {}), " + ".join(map(str, paths)))


def check_order(paths: Sequence[str | Path]) -> None:
    """Whether every file comes after those that it `stands_on`, whose values it would else take from elsewhere.

    Raises:
        InputError: one does not; the message names what to give.
    """
    before: list[Path] = []
    for path in map(Path, paths):
        needed = _read(path).get("stands_on")
        needed = needed if isinstance(needed, list) else []  # anything else is a fault that the check of keys reports
        missing = [name for name in needed if (path.parent / str(name)).resolve() not in before]
        if missing:
            given = " ".join(str(path.parent / str(name)) for name in needed)
            raise InputError(f"{path}: stands on {' and '.join(map(str, missing))}; give --configfile {given} {path}")
        before.append(path.resolve())


def _read(path: str | Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the path of a configuration file") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path}: holds no keys; start from a copy of config/config.yaml")
    return raw
