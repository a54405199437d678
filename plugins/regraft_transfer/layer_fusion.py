"""Feature transfer: a linear probe on the features of several layers at once."""

from regraft_transfer.linear_probe import LinearProbe


class LayerFusion(LinearProbe):
    """All places at which the source model could end are joined, so that none need be chosen: what
    an early layer knows is not lost behind it."""

    name = "layer-fusion"
    summary = "Logistic regression on the frozen features of all layers that could be chosen"
    paper = "Evci et al. 2022, Head2Toe: Utilizing Intermediate Representations"
    fuses_features = True
