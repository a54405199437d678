"""Progress of an adaptation on stderr."""

from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from regraft.cli.output import stderr


class ProgressBar:
    """Turns events into one line that moves; a plain log where stderr is no terminal."""

    def __init__(self) -> None:
        self.console = stderr()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("submitted", total=None)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def show(self, kind: str, data: dict[str, Any]) -> None:
        """One event."""
        if kind == "stage":
            self._line(data["name"].replace("_", " "))
            self.bar.update(self.task, description=data["name"], completed=0, total=None)
        elif kind == "features":
            self.bar.update(self.task, completed=data["done"], total=data["rows"])
        elif kind == "step":
            done = (data["epoch"] - 1) * data["steps"] + data["step"]
            total = data["epochs"] * data["steps"]
            described = f"train, loss {data['loss']:.3f}"
            self.bar.update(self.task, description=described, completed=done, total=total)
        elif kind == "epoch":
            named = f"epoch {data['epoch']}" if data["epoch"] else "before training"
            self._line(named + _figures(data["validation"]))
        elif kind == "expired":
            best = (
                f"the best of {data['epochs']} epochs" if data["epochs"] else "what it began with"
            )
            self._line(f"the budget is spent: {best} is taken")
        elif kind == "queued":
            self._line(f"{data['working']} adaptations are at work, and no more than that: waiting")
        elif kind == "interrupted":
            self._line(f"{data['reason']} It goes on from its last checkpoint.")
        elif kind == "waiting":
            self._line(f"waiting for {data['needs']} {data['of']}, {data['free']:g} free")

    def _line(self, text: str) -> None:
        self.bar.console.print(f"· {text}", style="dim")


def _figures(metrics: dict[str, Any]) -> str:
    found = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    return found and f": {found}"
