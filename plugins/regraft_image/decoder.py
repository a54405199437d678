"""The head of image segmentation."""

from torch import Tensor, nn

WIDTH = 96


class Decoder(nn.Module):
    """A map [B, D, h, w] in, logits [B, C, H, W] out: fewer channels, enlarged to `side`, smoothed
    by two convolutions."""

    def __init__(self, size: int, classes: int, side: tuple[int, int]) -> None:
        super().__init__()
        self.side = side
        self.narrow = nn.Conv2d(size, WIDTH, 1)
        self.smooth = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.last = nn.Conv2d(WIDTH, classes, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        narrow = self.narrow(features).relu()
        large = nn.functional.interpolate(narrow, self.side, mode="bilinear", align_corners=False)
        logits: Tensor = self.last(self.smooth(large).relu())
        return logits
