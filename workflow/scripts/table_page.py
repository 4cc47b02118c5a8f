"""Glue: a CSV file as a page, with its title and caption above it."""

from html import escape
from pathlib import Path

import pandas as pd

from semcom.common.files import write_text
from semcom.common.reporting import reported_to

STYLE = """
body { font: 14px system-ui, sans-serif; margin: 1.5rem; color: #1e293b; }
p { max-width: 48rem; line-height: 1.4; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { background: #f1f5f9; vertical-align: bottom; font-weight: 600; }
td { white-space: nowrap; }
th, td { padding: 0.3rem 0.6rem; border-bottom: 1px solid #e2e8f0; text-align: left; }
tbody tr:hover { background: #f8fafc; }
"""

with reported_to(snakemake.log[0]):
    table = pd.read_csv(snakemake.input.table, dtype=str, keep_default_na=False)  # a number keeps its digits
    # What says nothing here, such as the intervals of a single seed, would push the rest out of sight.
    table = table.loc[:, (table != "").any()].drop(columns="experiment", errors="ignore")
    table.columns = table.columns.str.replace("snr_db", "SNR (dB)").str.replace("_", " ")  # with spaces, headers wrap
    # Methods are called as in the figures; a browser would show math as it is typed, so that a key says more.
    called = {name: label for name, label in snakemake.params.labels.items() if "$" not in label}
    for column in table.columns.intersection(["method", "line", "compared to"]):
        table[column] = table[column].map(lambda name: called.get(name, name))
    table = table.replace(r"^-(?=[\d.])", "\N{MINUS SIGN}", regex=True)
    title, caption = snakemake.params.title, Path(snakemake.input.caption).read_text(encoding="utf-8")
    write_text(
        snakemake.output[0],
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>\n'
        f"<h1>{escape(title)}</h1>\n<p>{escape(caption.strip())} Empty columns are left out.</p>\n"
        f"{table.to_html(index=False, border=0)}\n</html>\n",
    )
