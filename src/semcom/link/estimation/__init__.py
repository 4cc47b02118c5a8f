"""What the server knows of h when it equalises; one a file, named by `channel.estimation`.

An estimation file offers

    class Options(Settings)                                                  what the configuration may set
    def channel_uses(options) -> int                                         pilots a device sends with a scene
    def estimate(h, mean, noise_to_signal, generator, options) -> Tensor     what the server takes for h
    def error_power(mean, noise_to_signal, options)                          E|h - estimate|^2, for the equaliser

of `h` (B, 1) complex, whose mean over fading is `mean` (0 for Rayleigh, 1 without fading) with E|h|^2 = 1;
`noise_to_signal` is N0 / E|s|^2, a number or (B, 1). An estimate draws from the generator after h and before the noise.
"""
