"""Changes to settings and losses, made as CONTRIBUTING.md says."""

from __future__ import annotations

from tests.contributing.project_copy import ProjectCopy


def add_augmentation(copy: ProjectCopy) -> None:
    copy.insert(
        "pcdet_poly/config/sections/data.py",
        "    shuffle: bool = True\n",
        '    brightness: NotNegative = 0.0\n    """Standard deviation of the noise of intensities."""\n',
    )
    augment = "pcdet_poly/data/load/augment.py"
    copy.insert(
        augment,
        "    return shuffle_points(frame, rng) if cfg.shuffle else frame\n",
        "    frame = add_intensity_noise(frame, rng, cfg.brightness) if cfg.brightness else frame\n",
    )
    copy.insert(
        augment,
        "def shuffle_points(",
        '''def add_intensity_noise(frame: Frame, rng: np.random.Generator, deviation: float) -> Frame:
    """Return the frame with noise on the intensities of its points."""
    points = frame.points.copy()
    points[:, frame.columns.index("intensity")] += rng.normal(0, deviation, len(points))
    return replace(frame, points=points)


''',
    )


PROVE_AUGMENTATION = """
import numpy as np
from pcdet_poly.config.load import load_config
from pcdet_poly.data.load.augment import augment
from tests import tiny
plain, noisy = load_config("configs/quick.yaml"), load_config("configs/quick.yaml", ["augment.brightness=0.5"])
frame = tiny.frame(0)
one, two = (augment(frame, np.random.default_rng(0), cfg.augment.model_copy(update={"shuffle": False}))
            for cfg in (plain, noisy))
assert (one.points != two.points).any(axis=0).tolist() == [False] * 3 + [True] + [False] * 4
from pcdet_poly.commands.main import main
assert main(["config", "show", "configs/quick.yaml", "augment.brightnes=1"]) == 2
"""


def add_poly_setting(copy: ProjectCopy) -> None:
    copy.insert(
        "pcdet_poly/config/sections/losses.py",
        '    match: Literal["none",',
        '    largest: NotNegative | None = None\n    """Largest loss of one logit. None: no limit."""\n',
    )
    copy.replace(
        "pcdet_poly/losses/classification.py",
        "    return weigh_background(loss, peak, cfg)\n",
        "    if cfg.largest is not None:\n        loss = loss.clamp(max=cfg.largest)\n"
        "    return weigh_background(loss, peak, cfg)\n",
    )


PROVE_POLY_SETTING = """
from tests.contributing.proof_tools import take_step
plain, neutral, limited = (take_step(classification={"epsilon": 1.0, **more})["heatmap"]
                           for more in ({}, {"largest": 1e9}, {"largest": 0.01}))
assert neutral == plain and 0 < limited < plain
"""


def add_loss(copy: ProjectCopy) -> None:
    sections = "pcdet_poly/config/sections/losses.py"
    copy.replace(sections, "cell_loss import LossSection", "cell_loss import CellLossConfig, LossSection")
    copy.insert(
        sections,
        "class CenterBoxLossConfig(",
        '''class SquaredConfig(CellLossConfig):
    """Squared distance of probability and heatmap."""

    kind: Literal["squared"] = "squared"
    """Name of the loss."""
    peak_weight: NotNegative = 10.0
    """Weight of cells with target 1."""


''',
    )
    copy.write(
        "pcdet_poly/losses/squared.py",
        '''"""Logits and heatmap -> squared distance of probabilities, unreduced."""

from torch import Tensor

from pcdet_poly.config.sections.losses import SquaredConfig


def squared_loss(logits: Tensor, heatmap: Tensor, cfg: SquaredConfig, *, progress: float = 1.0) -> Tensor:
    """Return the loss of every cell and class."""
    weight = 1 + (cfg.peak_weight - 1) * (heatmap == 1)
    return weight * (logits.float().sigmoid() - heatmap) ** 2
''',
    )
    table = "pcdet_poly/config/kind_tables.py"
    copy.replace(table, "import HeatmapFocalConfig, ", "import HeatmapFocalConfig, SquaredConfig, ")
    copy.insert(
        table,
        '        "sigmoid": LossKind(',
        '        "squared": LossKind(SquaredConfig, "pcdet_poly.losses.squared:squared_loss"),\n',
    )


PROVE_LOSS = """
from tests.contributing.proof_tools import take_step
one, two = (take_step(classification={"kind": "squared", "peak_weight": weight})["heatmap"] for weight in (1, 100))
assert 0 < one < two
"""


def add_box_loss(copy: ProjectCopy) -> None:
    copy.insert(
        "pcdet_poly/config/sections/losses.py",
        "    code_weights: tuple[NotNegative, ...] = (1.0",
        '    box_loss: Literal["l1", "smooth_l1"] = "l1"\n    """Distance of box codes."""\n',
    )
    copy.insert(
        "pcdet_poly/losses/center/box_loss.py",
        "def l1_where_finite(",
        '''def smooth(distance: Tensor) -> Tensor:
    """d^2 / 2 of a distance d below 1, d - 1 / 2 of others."""
    return torch.where(distance < 1, distance.square() / 2, distance - 0.5)


''',
    )
    criterion = "pcdet_poly/losses/center/criterion.py"
    copy.replace(criterion, "    l1_where_finite,\n)", "    l1_where_finite,\n    smooth,\n)")
    copy.replace(
        criterion,
        "        loss = center_code_loss(code, targets.code) * weights\n        return",
        "        loss = center_code_loss(code, targets.code)\n"
        '        loss = (smooth(loss) if self.regression.box_loss == "smooth_l1" else loss) * weights\n        return',
    )


PROVE_BOX_LOSS = """
from tests.contributing.proof_tools import take_step
plain, smooth = (take_step(regression={"box_loss": name})["box"] for name in ("l1", "smooth_l1"))
assert 0 < smooth < plain
"""
