"""An EfficientNet-B4 laid out as EfficientNet-PyTorch lays it out, the authors' kind of file; written for the tests.

Names and shapes are those of its state dict; BatchNorm's epsilon is 1e-3, and every convolution pads for a side of 380,
as release 0.6.3 does, whatever the picture's side.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Of B4: repeats, kernel, stride, expansion, channels out; 48 channels come in.
STAGES = [(2, 3, 1, 1, 24), (4, 3, 2, 6, 32), (4, 5, 2, 6, 56), (6, 3, 2, 6, 112), (6, 5, 1, 6, 160)]
STAGES += [(8, 5, 2, 6, 272), (2, 3, 1, 6, 448)]


class StaticSame(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pad = max((-(-380 // stride) - 1) * stride + kernel - 380, 0)
        padded = F.pad(input, (pad // 2, pad - pad // 2, pad // 2, pad - pad // 2))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide, squeezed = channels * expansion, max(1, channels // 4)
        self.adds = stride == 1 and channels == out
        if expansion > 1:
            self._expand_conv = StaticSame(channels, wide, 1, bias=False)
            self._bn0 = norm(wide)
        self._depthwise_conv = StaticSame(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = norm(wide)
        self._se_reduce = StaticSame(wide, squeezed, 1)
        self._se_expand = StaticSame(squeezed, wide, 1)
        self._project_conv = StaticSame(wide, out, 1, bias=False)
        self._bn2 = norm(out)

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self._bn0(self._expand_conv(x))) if hasattr(self, "_expand_conv") else x
        y = F.silu(self._bn1(self._depthwise_conv(y)))
        squeezed = F.silu(self._se_reduce(y.mean((2, 3), keepdim=True)))
        y = self._bn2(self._project_conv(y * self._se_expand(squeezed).sigmoid()))
        return x + y if self.adds else y


class EfficientNetB4(nn.Module):
    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self._conv_stem = StaticSame(3, 48, 3, 2, bias=False)
        self._bn0 = norm(48)
        blocks, channels = [], 48
        for repeats, kernel, stride, expansion, out in STAGES:
            for i in range(repeats):
                blocks.append(Block(channels, out, kernel, 1 if i else stride, expansion))
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = StaticSame(448, 1792, 1, bias=False)
        self._bn1 = norm(1792)
        self._fc = nn.Linear(1792, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return self._fc(F.silu(self._bn1(self._conv_head(x))).mean((2, 3)))


def made(seed: int = 0, classes: int = 2) -> EfficientNetB4:
    """A network whose every tensor counts: what torch starts convolutions with would fade out over 32 blocks."""
    torch.manual_seed(seed)
    network = EfficientNetB4(classes).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            for name, tensor in module.state_dict().items():
                if name in ("weight", "running_var"):
                    tensor.uniform_(0.5, 1.5)
                elif name in ("bias", "running_mean"):
                    tensor.normal_(0, 0.1)
    return network
