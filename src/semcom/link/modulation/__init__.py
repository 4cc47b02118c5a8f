"""How K real features become channel uses, and which power the SNR refers to; one a file, named by
`channel.modulation`.

A modulation file offers

    SYMBOL_POWER: float                              E|s|^2 to which the SNR refers: N0 = SYMBOL_POWER / SNR
    class Options(Settings)                          what the configuration may set
    def channel_uses(features, options) -> int       channel uses of one scene's K features
    def received_values(features, options) -> int    real numbers per scene that the decoder gets for them
    def modulate(z, options) -> Tensor               (B, K) real features to (B, uses) complex64 symbols s
    def demodulate(symbols, options) -> Tensor       (B, uses) equalised symbols to (B, received values) float32

One that takes features in groups says so by a constant, FEATURES_MULTIPLE_OF. Counting needs neither a channel nor an
SNR: the ledger asks the modulation alone.
"""
