"""Multi-modal self-supervised semantic communication, arXiv 2503.13940, rebuilt as a pipeline.

Each line imports from itself and from those above it, never from below; a test holds it so.

    common                 what all say, write and find: errors, files, plugins, settings, log lines
    rng                    random streams, by which every draw of a result is addressed
    config                 what may be set, what a run is given of it, and where it lies
    data                   raw files to scenes, and their split
    rooms                  the renderer of the built-in data set
    link                   eq. (2), what crosses the air, and the ledger
    views                  augmentation
    models                 encoders, decoder, and the networks of both stages: eqs. (1), (3), (4)
    losses                 eqs. (7) to (14), (18), (19), and other methods' losses with their networks of stage I
    runs                   one run's life: lock, checkpoint, signals, provenance; the state of a grid
    training               stages I and II, Algorithm 1
    baselines              other ways to the server over the same link: labels, posteriors, images
    analysis               what runs leave, and what follows from it: tables, trials, claims
    figures                what a reader sees
    planning               what it takes in full, and how far it is
    commands               what is typed: check, status, partial, keep, compare_sizes
"""
