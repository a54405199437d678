"""Parameter transfer: a low-rank change of each weight matrix, merged in the end."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Rate

if TYPE_CHECKING:
    from regraft.model import TargetModel


class LoRAOptions(FineTuningOptions):
    """`rank` of the change, which counts `alpha` / `rank` times; `dora` learns its size apart."""

    rank: Annotated[int, Field(ge=1, le=256)] = 8
    alpha: Annotated[int, Field(ge=1)] = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dora: bool = False
    learning_rate: Rate = 1e-3
    head_rate: Rate = 1.0


class LoRA(FineTuning):
    """Linear layers are adapted; where there are none, convolutions of one group."""

    name = "lora"
    summary = "Fine-tune low-rank changes of the source model and a new head; merged in the end"
    paper = "Hu et al. 2022, LoRA; Liu et al. 2024, DoRA"
    Options = LoRAOptions
    options: LoRAOptions

    def check(self, model: "TargetModel") -> str | None:
        from regraft_transfer.lora_layers import refusal

        return refusal(model.backbone)

    def prepare(self, model: "TargetModel") -> "TargetModel":
        from peft import LoraConfig, get_peft_model

        from regraft_transfer.lora_layers import register, targets

        config = LoraConfig(
            r=self.options.rank,
            lora_alpha=self.options.alpha,
            lora_dropout=self.options.dropout,
            use_dora=self.options.dora,
            target_modules=targets(model.backbone),
        )
        register(config, model.backbone)
        model.backbone = get_peft_model(model.backbone, config)
        return model

    def finish(self, model: "TargetModel") -> "TargetModel":
        merged: Any = model.backbone
        model.backbone = merged.merge_and_unload()
        return model
