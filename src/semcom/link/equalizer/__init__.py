"""What a server that knows h makes of h s + n; one a file, named by `channel.equalizer`.

An equaliser file offers

    class Options(Settings)                                               what the configuration may set
    def equalize(received, h, noise_to_signal, options) -> Tensor         estimates of the symbols s

of `received` (B, uses) and `h` (B, 1), both complex; `noise_to_signal` is N0 / E|s|^2.
"""
