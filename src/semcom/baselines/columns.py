"""The columns of what a study of baselines leaves, a file of each kind a seed. Free of torch."""

from dataclasses import fields

from semcom.link.ledger import Traffic

COLUMNS = [
    "experiment", "sender", "tested_snr_db", "seed", "split", "channel_uses", "accuracy", "mean_class_accuracy", "heard", "status",
]  # fmt: skip
TRAINING_COLUMNS = ["experiment", "sender", "tested_snr_db", "seed", *(field.name for field in fields(Traffic))]
