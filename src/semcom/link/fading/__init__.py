"""Channel models, one a file; `channel.model` of the configuration names the file.

A channel file offers one class, `Channel(semcom.link.link.Link)`, which draws the coefficients h^m of eq. (2).
"""
