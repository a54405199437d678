"""No transfer at all: the source model with the head that it came with."""

from regraft import TransferStrategy


class AsIs(TransferStrategy):
    """What the source model can do already, judged on the test rows and served like any other."""

    name = "as-is"
    kind = "feature"
    summary = "Publish the source model with the head that it came with; nothing is trained"
    freezes_backbone = True
    uses_own_head = True
