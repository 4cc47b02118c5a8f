"""What the channel does to amplitude and phase, the h of eq. (2); one a file, named by `channel.fading`.

A fading file offers

    class Options(Settings)                                        what the configuration may set
    def coefficients(scenes, generator, options) -> Tensor         h of each scene
    def mean(options) -> float                                     E[h], real and not negative: the part that is known

`coefficients` gives a (scenes, 1) complex64 tensor on the generator's device with E|h|^2 = 1, so that the SNR is the
mean over fading. It draws from the generator alone: one h a scene (block fading), before the noise is drawn.
"""
