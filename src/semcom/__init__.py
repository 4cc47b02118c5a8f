"""Multi-modal self-supervised semantic communication, arXiv 2503.13940, rebuilt as a pipeline.

Data flows one way, and nothing imports what stands to its right:

    data -> augment -> encoders -> channels -> decoder -> losses -> pretrain, finetune -> tables -> figures
"""
