"""The way from a device to the server, eq. (2), and what crosses it.

A link is composed of four blocks, each a file that the configuration names: `modulation/`, `fading/`,
`estimation/`, `equalizer/`.
The functions of a block are pure: they take its `Options` last and keep nothing between two calls, so that a resumed
run draws what an uninterrupted one would. They import torch themselves, not their file: the workflow reads `Options`
while it builds the graph. No option may be called `name`, the key that names the block.
"""
