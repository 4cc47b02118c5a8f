"""What a server that knows h, or an estimate of it, makes of h s + n; one a file, named by `channel.equalizer`.

An equaliser file offers

    class Options(Settings)                                               what the configuration may set
    def equalize(received, h, noise_to_signal, options) -> Tensor         estimates of the symbols s

of `received` (B, uses) and the server's estimate of `h` (B, 1), both complex. `noise_to_signal` is N0 / E|s|^2, a number or
(B, 1), with the power of the estimate's error added, which acts as noise of the symbols' own.
"""
