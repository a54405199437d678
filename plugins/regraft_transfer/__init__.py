"""Transfer strategies, one file each."""

from regraft import TransferStrategy, hookimpl


@hookimpl
def register_strategies() -> list[type[TransferStrategy]]:
    from regraft_transfer.as_is import AsIs
    from regraft_transfer.bitfit import BitFit
    from regraft_transfer.contrastive import Contrastive
    from regraft_transfer.coral import Coral
    from regraft_transfer.dann import Adversarial
    from regraft_transfer.distillation import Distillation
    from regraft_transfer.full import Full
    from regraft_transfer.gradual_unfreezing import GradualUnfreezing
    from regraft_transfer.knn import Neighbours
    from regraft_transfer.l2_sp import StartingPoint
    from regraft_transfer.last_k import LastLayers
    from regraft_transfer.layer_drop import LayerDrop
    from regraft_transfer.layer_fusion import LayerFusion
    from regraft_transfer.linear_probe import LinearProbe
    from regraft_transfer.lora import LoRA
    from regraft_transfer.lp_ft import ProbeFirst
    from regraft_transfer.mcc import MinimumConfusion
    from regraft_transfer.mmd import MeanDiscrepancy
    from regraft_transfer.prototype import Prototype
    from regraft_transfer.pseudo_label import PseudoLabel
    from regraft_transfer.scratch import Scratch
    from regraft_transfer.soup import Soup
    from regraft_transfer.student_init import StudentInit
    from regraft_transfer.wise_ft import WeightEnsemble

    feature = [AsIs, LinearProbe, LayerFusion, Neighbours, Prototype, Contrastive]
    tuned = [Full, ProbeFirst, GradualUnfreezing, LastLayers, BitFit, LoRA, StartingPoint]
    smaller = [LayerDrop, StudentInit, Distillation]
    across = [Coral, MeanDiscrepancy, Adversarial, MinimumConfusion, PseudoLabel]
    return [*feature, *tuned, WeightEnsemble, Soup, *smaller, *across, Scratch]
