"""Parameter transfer: the mean of several fine-tuned models."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from regraft import TransferStrategy
from regraft_transfer.fine_tuning import Rate
from regraft_transfer.lp_ft import ProbeFirst, ProbeFirstOptions

if TYPE_CHECKING:
    from regraft.model import TargetModel


class SoupOptions(ProbeFirstOptions):
    """A model is trained for each of `rates`, which multiply lp-ft's learning rate."""

    rates: Annotated[tuple[Rate, ...], Field(min_length=1, max_length=20)] = (0.5, 1.0, 2.0)


class Soup(ProbeFirst):
    """Models that began as one and were fine-tuned apart lie in one basin of the loss. The greedy
    soup: from the best on, each joins the mean unless that makes it worse on validation."""

    name = "soup"
    summary = "Average models fine-tuned at several rates, those that help on validation"
    paper = "Wortsman et al. 2022, Model Soups"
    Options = SoupOptions
    options: SoupOptions

    def ingredients(self) -> tuple[TransferStrategy, ...]:
        shared = ProbeFirstOptions(**self.options.model_dump(exclude={"rates"}))
        rates = [shared.learning_rate * rate for rate in self.options.rates]
        options = [shared.model_copy(update={"learning_rate": rate}) for rate in rates]
        return tuple(ProbeFirst(one, self.seed + number) for number, one in enumerate(options))

    def mix(
        self, models: "list[TargetModel]", score: "Callable[[TargetModel], float]"
    ) -> "TargetModel":
        from regraft.model import mean

        scores = {model: score(model) for model in models}
        first, *others = sorted(models, key=scores.__getitem__, reverse=True)
        chosen, soup, best = [first], first, scores[first]
        for model in others:
            mixed = mean([*chosen, model])
            if (reached := score(mixed)) >= best:
                chosen, soup, best = [*chosen, model], mixed, reached
        return soup
