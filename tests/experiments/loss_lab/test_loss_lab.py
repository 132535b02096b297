"""The lab's numbers against the formulas they picture, and its command on a finished run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pcdet_poly.commands.main import call_command
from pcdet_poly.config.schema import Config
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.engine.run import Run, start_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.engine.train import train
from pcdet_poly.experiments.loss_lab.examine_run import _find_share, find_right_detections, read_shares
from pcdet_poly.experiments.loss_lab.heatmap_gradients import background_share, build_example_heatmap, compute_gradients
from pcdet_poly.experiments.loss_lab.loss_curves import differentiate_curve, list_curves, polynomial_coefficients
from pcdet_poly.structures import Detections, Frame, GroundTruth

TINY = {
    "grid": {"lower": [-6.4, -6.4, -3], "upper": [6.4, 6.4, 5], "cell": [0.8, 0.8, 8]},
    "model": {
        "encoder_channels": [4, 4],
        "backbone": {"layers": [1], "strides": [1], "channels": [4], "up_strides": [1], "up_channels": [4]},
        "head_width": 4,
    },
    "decode": {"score": 0.0, "top_k": 4},
    "train": {"epochs": 2, "batch_size": 2, "log_every": 1, "threads": 1},
}


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps on two frames with one car each."""
    folder = tmp_path_factory.mktemp("lab")
    write_store(folder / "store", [_frame(number) for number in range(4)])
    store = [str(folder / "store")]
    config = Config.model_validate(TINY | {"data": {"workers": 0, "train": store, "val": store}})
    run = start_run(folder / "runs" / "tiny", config, torch.device("cpu"), resume=False)
    train(run, build_seeded_recipe(config, run.device), open_training_frames(config), None)
    return run.folder


def _frame(number: int) -> Frame:
    rng = np.random.default_rng(number)
    points = np.zeros((200, 8), np.float32)
    points[:, :3] = rng.uniform(-6, 6, (200, 3)) * [1, 1, 0.1]
    points[:, 6:] = 1
    one = np.ones(1, np.int64)
    labels = GroundTruth(
        box=np.array([[number - 2.0, 1, 0.5, 4, 2, 1.5, 0.3]], np.float32),
        label=0 * one,
        level=one,
        num_points=20 * one,
        track=np.array(["car"]),
        speed=np.zeros((1, 2), np.float32),
    )
    return Frame(points, labels, np.eye(4), timestamp_us=number, segment="lab")


def test_coefficients_are_the_facts() -> None:
    assert polynomial_coefficients(0, num_powers=3) == [1, 1 / 2, 1 / 3]
    assert polynomial_coefficients(2, num_powers=4) == [0, 0, 1, 1 / 2]
    assert polynomial_coefficients(0, (-1.0, 1.0), num_powers=3) == [0, 1.5, 1 / 3]
    assert polynomial_coefficients(1, (), 2, num_powers=4) == [0, 1, 1 / 2, 0]


def test_every_curve_is_the_integral_of_its_slope() -> None:
    p_t = torch.linspace(0.05, 0.95, 2001, dtype=torch.float64)
    for row in list_curves().values():
        for curve in row:
            loss, slope, of_logit = differentiate_curve(curve, p_t)
            # The trapezoid rule errs by step^2 / 12 times the slope's change: 2e-8 x 400, of losses about 3.
            torch.testing.assert_close(torch.trapezoid(slope, p_t), loss[0] - loss[-1], rtol=1e-4, atol=0)
            torch.testing.assert_close(of_logit, slope * p_t * (1 - p_t))


def test_epsilon_moves_gradient_from_peaks_to_background() -> None:
    logits, heatmap = build_example_heatmap()
    assert heatmap.shape == (2, 40, 40)
    assert [int((row == 1).sum()) for row in heatmap] == [2, 3]  # the cars and the walkers
    shares = [
        background_share(compute_gradients(logits, heatmap, epsilon), heatmap) for epsilon in (-1.0, 0.0, 1.0, 2.0)
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.6 < shares[-1]


def test_command_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call_command("loss-lab", ["--output", str(tmp_path)]) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in written] == ["coefficients.png", "curves.png", "heatmap.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_command_on_a_finished_run(finished_run: Path, tmp_path: Path) -> None:
    assert call_command("loss-lab", ["--output", str(tmp_path), "--run", str(finished_run), "--frames", "2"]) == 0
    (summary,) = json.loads((tmp_path / "runs.json").read_text())
    log = [json.loads(line) for line in (finished_run / "log.jsonl").read_text().splitlines()]
    last = [line for line in log if "first_term_share/all" in line][-1]
    assert summary["last_first_term_share"]["all"] == last["first_term_share/all"]
    assert 0 < summary["mean_p_t"]["peaks"] < summary["mean_p_t"]["background"] < 1
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a run"):
        call_command("loss-lab", ["--output", str(tmp_path), "--run", str(tmp_path / "nothing")])


def test_a_right_detection_overlaps_a_label_of_its_class() -> None:
    car = [0.0, 0, 0, 4, 2, 1.5, 0]
    moved = [1.0, 0, 0, 4, 2, 1.5, 0]  # IoU 3 / 5
    far = [3.0, 0, 0, 4, 2, 1.5, 0]  # IoU 1 / 7
    detections = Detections(torch.tensor([car, moved, far, car]), torch.tensor([0, 0, 0, 1]), torch.ones(4))
    labels = GroundTruth(
        torch.tensor([car]), torch.tensor([0]), torch.ones(1), torch.ones(1), np.array(["x"]), torch.zeros(1, 2)
    )
    assert find_right_detections(detections, labels).tolist() == [True, True, False, False]
    assert find_right_detections(detections, labels[:0]).tolist() == [False] * 4


def test_shares_are_read_with_their_steps(tmp_path: Path) -> None:
    run = Run(tmp_path, Config(), torch.device("cpu"))
    (tmp_path / "log.jsonl").write_text(
        '{"event": "step", "step": 10, "first_term_share/all": 0.5, "first_term_share/background": 0.4}\n'
        '{"event": "evaluation", "step": 10, "score": 1}\n'
    )
    shares = read_shares(run)
    assert shares.steps.tolist() == [10]
    assert shares.by_part["all"].tolist() == [0.5]
    assert np.isnan(shares.by_part["peaks"]).all()  # a batch without objects


def test_an_anchor_heads_positives_count_as_peaks() -> None:
    line = {"first_term_share/positives": 0.25, "first_term_share/all": 0.5}
    assert _find_share(line, ("peaks", "positives")) == 0.25
    assert np.isnan(_find_share(line, ("background",)))
