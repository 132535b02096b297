"""Small networks that name, order and pad things as OpenPCDet and CenterPoint do, written from their descriptions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def norm(channels: int, dims: int = 2, eps: float = 1e-3) -> nn.Module:
    """Batch norm with statistics unlike those of a fresh one. Both projects leave the heads torch's own eps."""
    made = (nn.BatchNorm2d if dims == 2 else nn.BatchNorm1d)(channels, eps=eps)
    nn.init.uniform_(made.running_mean, -0.5, 0.5)
    nn.init.uniform_(made.running_var, 0.5, 2)
    nn.init.uniform_(made.weight, 0.5, 2)
    nn.init.uniform_(made.bias, -0.5, 0.5)
    return made


class PfnLayer(nn.Module):
    """Linear, norm, ReLU per point; the maximum over the pillar, beside each point unless last."""

    def __init__(self, inputs: int, outputs: int, last: bool) -> None:
        super().__init__()
        self.last = last
        width = outputs if last else outputs // 2
        self.linear = nn.Linear(inputs, width, bias=False)
        self.norm = norm(width, 1)

    def forward(self, points: Tensor, pillar: Tensor, num_pillars: int) -> Tensor:
        values = self.norm(self.linear(points)).relu()
        highest = torch.stack([values[pillar == i].max(dim=0).values for i in range(num_pillars)])
        return highest if self.last else torch.cat([values, highest[pillar]], dim=1)


class Vfe(nn.Module):
    """Layers over decorated points. `rows`: every pillar is filled up with rows of zeros, as hard encoders do."""

    def __init__(self, inputs: int, channels: tuple[int, int], rows: int = 0) -> None:
        super().__init__()
        self.rows = rows
        self.pfn_layers = nn.ModuleList(
            [PfnLayer(inputs, channels[0], False), PfnLayer(channels[0], channels[1], True)]
        )

    def forward(self, points: Tensor, pillar: Tensor, num_pillars: int) -> Tensor:
        if self.rows:
            every = torch.arange(num_pillars).repeat_interleave(self.rows - torch.bincount(pillar))
            points = torch.cat([points, points.new_zeros(len(every), points.shape[1])])
            pillar = torch.cat([pillar, every])
        for layer in self.pfn_layers:
            points = layer(points, pillar, num_pillars)
        return points


class Blocks(nn.Module):
    """`plain_up`: an up-sampling by 1 is a convolution (CenterPoint), not a transposed one (OpenPCDet)."""

    def __init__(
        self, inputs: int, layers: list[int], strides: list[int], widths: list[int], ups: list[int], plain_up: bool
    ) -> None:
        super().__init__()
        self.blocks, self.deblocks = nn.ModuleList(), nn.ModuleList()
        for depth, stride, width, up in zip(layers, strides, widths, ups, strict=True):
            parts: list[nn.Module] = [nn.ZeroPad2d(1), nn.Conv2d(inputs, width, 3, stride=stride, bias=False)]
            parts += [norm(width), nn.ReLU()]
            for _ in range(depth):
                parts += [nn.Conv2d(width, width, 3, padding=1, bias=False), norm(width), nn.ReLU()]
            self.blocks.append(nn.Sequential(*parts))
            plain = plain_up and up == 1
            raised = nn.Conv2d(width, 6, 1, bias=False) if plain else nn.ConvTranspose2d(width, 6, up, up, bias=False)
            self.deblocks.append(nn.Sequential(raised, norm(6), nn.ReLU()))
            inputs = width

    def forward(self, image: Tensor) -> Tensor:
        outputs = []
        for block, deblock in zip(self.blocks, self.deblocks, strict=True):
            image = block(image)
            outputs.append(deblock(image))
        return torch.cat(outputs, dim=1)


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class PcdetHead(nn.Module):
    """OpenPCDet's centre head, one group of classes."""

    def __init__(self, inputs: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.shared_conv = nn.Sequential(conv(inputs, width), norm(width, eps=1e-5), nn.ReLU())
        outputs = {"center": 2, "center_z": 1, "dim": 3, "rot": 2, "hm": num_classes}
        self.heads_list = nn.ModuleList(
            [
                nn.ModuleDict(
                    {
                        name: nn.Sequential(
                            nn.Sequential(conv(width, width), norm(width, eps=1e-5), nn.ReLU()), conv(width, n)
                        )
                        for name, n in outputs.items()
                    }
                )
            ]
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        shared = self.shared_conv(image)
        return {name: branch(shared) for name, branch in self.heads_list[0].items()}


class PcdetAnchorHead(nn.Module):
    def __init__(self, inputs: int, per_cell: int, num_classes: int) -> None:
        super().__init__()
        self.conv_cls = nn.Conv2d(inputs, per_cell * num_classes, 1)
        self.conv_box = nn.Conv2d(inputs, per_cell * 7, 1)
        self.conv_dir_cls = nn.Conv2d(inputs, per_cell * 2, 1)


class CenterPointHead(nn.Module):
    """CenterPoint's own head, one task."""

    def __init__(self, inputs: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.shared_conv = nn.Sequential(conv(inputs, width), norm(width, eps=1e-5), nn.ReLU())
        outputs = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "hm": num_classes}
        self.tasks = nn.ModuleList(
            [
                nn.ModuleDict(
                    {
                        name: nn.Sequential(conv(width, width), norm(width, eps=1e-5), nn.ReLU(), conv(width, n))
                        for name, n in outputs.items()
                    }
                )
            ]
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        shared = self.shared_conv(image)
        return {name: branch(shared) for name, branch in self.tasks[0].items()}


class Foreign(nn.Module):
    """Parts under the names their project gives them."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
