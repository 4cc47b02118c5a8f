"""Multi-modal self-supervised semantic communication, arXiv 2503.13940, rebuilt as a pipeline.

Each line imports from itself and from those above it, never from below; a test holds it so.

    errors, files, plugins, progress, sources         said, written and found by all
    settings, sections, correlation, losses           what may be set; eqs. (7) to (14), (18), (19)
    config, jobs, paths                               the configuration, what a run is given of it, and where it lies
    rng, data                                         random streams; files to scenes
    augment, channel, channels                        views; eq. (2)
    encoders, torchvision_import, decoder, overhead   eqs. (1), (4); the ledger
    slurm, devices                                    what a cluster is asked for; the GPU that a job takes
    interruption, run_state, spent                    signals; who works on a run, and how long
    checkpoint, attempt, training, provenance         what both stages share
    pretrain, finetune                                stages I and II
    records, tables, trials, claims                   what runs leave, and what follows from it
    style, curves, figures, traces, sizes             what a reader sees
    grid_state, state, partial                        how far a grid is, and what there is to see of it
    calibration, sizing, sizing_text                  what it takes in full
    bench                                             what it costs, against what it could
"""
