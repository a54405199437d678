"""Ray Train's part of a training that is not ours."""

from ray.train.torch import TorchTrainer

from regraft.training.trainer import NEEDLESS, Trainer


def test_just_what_is_needless_is_left_out() -> None:
    """Else Ray has renamed it, and each training starts a process more."""
    whole, ours = (
        {type(callback).__name__ for callback in kind(print)._create_default_callbacks()}
        for kind in (TorchTrainer, Trainer)
    )
    assert whole - ours == NEEDLESS
