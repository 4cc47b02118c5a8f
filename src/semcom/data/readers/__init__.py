"""Readers of data sets' original files, one a file; `data.reader` of the configuration names the file.

What a file offers stands in `semcom.data.source`.
"""
