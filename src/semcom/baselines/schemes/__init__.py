"""What a device sends instead of trained features; a file each, found by its name in `baselines.<study>.schemes`.

A scheme offers, free of torch,

    Options                                its own settings, with a default each
    LABEL                                  what figures call it
    NEEDS                                  "local": a classifier on each device; "server": one of all images, at the server
    channel_uses(given, classes, options)  of the uses that a device has for an inference, those it takes; None: too few
    work()                                 the module of what it does

and that module

    prepare(task, options)                 what it makes of the scenes once, for every SNR and number of channel uses
    answer(prepared, task, air, options)   what the server answers, `task.Told` for each split
    training(prepared, task, options)      what it sends in training, in bits, `link.ledger.Traffic`

Confusions, weights and whatever else is fitted, is fitted on validation scenes; priors are those of the training labels.
Test scenes decide nothing.
"""
