"""Parameter transfer: fine-tune everything, the lower layers more gently."""

from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Share


class FullOptions(FineTuningOptions):
    """The lower a layer, the more general it is and the less it changes (Howard & Ruder 2018)."""

    layer_decay: Share = 0.9


class Full(FineTuning):
    """All parameters of the backbone and the head are trained."""

    name = "full"
    summary = "Fine-tune the whole source model and a new head"
    paper = "Devlin et al. 2019, BERT"
    Options = FullOptions
