"""Wrong uses of every command: exit code 2, one line that says what is wrong, and nothing written."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pcdet_poly.commands.main import main

ROOT = Path(__file__).resolve().parent.parent.parent

# The words after `pcdet-poly`, and what the line must say.
WRONG_USES: list[tuple[str, str]] = [
    # The program itself.
    ("trian tiny.yaml", "trian: no such command; did you mean 'train'?"),
    ("evalute a b", "did you mean 'evaluate'?"),
    ("xyzzy", "xyzzy: no such command; `pcdet-poly -h` lists the commands"),
    ("--vresion", "--vresion: no such option"),
    # train
    ("train", "the following arguments are required: CONFIG"),
    ("train tiny.yml", "did you mean 'tiny.yaml'?"),
    ("train nowhere/at/all.yaml", "nowhere/at/all.yaml: no such config file"),
    ("train quik", "quik: no such config file; did you mean 'quick'?"),
    ("train configs/quik.yaml", "did you mean"),
    ("train store", "store: no such config file"),
    ("train list.yaml", "a config is a mapping of sections"),
    ("train torn.yaml", "torn.yaml:"),
    ("train loop.yaml", "leads back to itself"),
    ("train typo.yaml", "typo.yaml:2: train.epochz: no such setting; did you mean 'epochs'?"),
    ("train junk.bin", "junk.bin"),
    ("train tiny.yaml train.epochz=3", "command line: train.epochz: no such setting; did you mean 'epochs'?"),
    ("train tiny.yaml train.epochs", "an override is written section.key=value"),
    ("train tiny.yaml train.epochs=[", "the value is not YAML"),
    ("train tiny.yaml train.epochs=-1", "command line: train.epochs = -1"),
    ("train tiny.yaml train.epochs=many", "command line: train.epochs = 'many'"),
    ("train tiny.yaml train.learning_rate=inf", "command line: train.learning_rate"),
    ("train tiny.yaml classification.epsilon=nan", "command line: classification.epsilon"),
    ("train tiny.yaml classification.kind=pooly", "classification"),
    ("train tiny.yaml model.kind=centerpont_pillar", "model"),
    ("train tiny.yaml grid.upper=[.inf,12.8,5]", "command line: grid"),
    ("train tiny.yaml grid.cell=[0.7,0.8,8]", "command line: grid"),
    ("train tiny.yaml augment.scale=[1.05,0.95]", "command line: augment"),
    ("train tiny.yaml data.classes=[CAR]", "CAR"),
    ("train tiny.yaml data.classes=[Vehicle]", "Vehicle"),
    ("train tiny.yaml data.classes=[]", "data.classes"),
    ("train tiny.yaml data.train=[]", "data.train: no store given"),
    ("train tiny.yaml data.train=[stor]", "stor: no such folder; did you mean 'store'?"),
    ("train tiny.yaml data.val=[empty]", "empty: no manifest.json, so not a frame store"),
    ("train tiny.yaml data.train=[junk.bin]", "junk.bin: no such folder"),
    ("train tiny.yaml paste.bank=nowhere.arrow", "nowhere.arrow: no such object bank"),
    ("train tiny.yaml paste.bank=junk.bin", "junk.bin: not an object bank"),
    ("train tiny.yaml train.initial_weights=nowhere.pt --name new", "nowhere.pt: no such checkpoint"),
    ("train tiny.yaml train.initial_weights=runs/damaged --name new", "not a checkpoint, or a damaged one"),
    ("train tiny.yaml evaluation.best_by=4D", "evaluation.best_by = 4D"),
    ("train tiny.yaml train.warmup=1000", "train.warmup = 1000"),
    ("train tiny.yaml --train.epochs=3", "settings are written without dashes: train.epochs=3"),
    ("train tiny.yaml --device gpu", "--device: invalid choice: 'gpu'"),
    ("train tiny.yaml --device cuda", "--device cuda: torch sees no GPU here"),
    ("train tiny.yaml --devise cpu", "--devise: no such option; did you mean '--device'?"),
    ("train tiny.yaml --name", "--name: expected one argument"),
    ("train tiny.yaml --name ../x", "a name, not a path, needed"),
    ("train tiny.yaml --name ''", "a name needed"),
    ("train tiny.yaml --name ..", "a name, not a path, needed"),
    ("train tiny.yaml --name CON", "a name that Windows does not take for a device needed"),
    ("train tiny.yaml data.train=store,,store", "'store,,store' has an empty name between its commas"),
    ("train tiny.yaml data.train=", "data.train = None: a list is needed; nothing was given"),
    ("train tiny.yaml train.initial_weights=store --name new", "train.initial_weights = store: not a run"),
    ("train tiny.yaml train.batch_size=true", "train.batch_size: true: a number needed"),
    ("train tiny.yaml train=3", "command line: train = 3: input should be a valid dictionary"),
    ("train tiny.yaml =3", "an override is written section.key=value"),
    ("train tiny.yaml --plugin nosuch", "--plugin nosuch: no such module"),
    ("train tiny.yaml classification.kind=nosuch:Loss", "add --plugin nosuch to the command if you trust that module"),
    ("train tiny.yaml data.classes=[VEHCLE]", "did you mean 'VEHICLE'?"),
    ("train pillarnext model.aspp.dilation=[1]", "did you mean 'dilations'?"),
    ("train pillarnext model.aspp.dilations=[0]", "command line: model.aspp.dilations = 0"),
    ("train pillarnext model.encoder=dynamic_any_hieght", "did you mean 'dynamic_any_height'?"),
    ("train pillarnext decode.preset=pillarnex", "did you mean 'pillarnext'?"),
    ("train pillarnext classification.shared_peaks=twice", "command line: classification.shared_peaks = 'twice'"),
    ("train pillarnext model.groups=[[VEHICLE]]", "command line: model"),
    ("train store/manifest.json", "store/manifest.json:2: format: no such setting"),
    ("train tiny.yaml", "runs/tiny: already there; go on with --resume, or choose another --name"),
    ("train tiny.yaml train.seed=7 --resume", "was started with train.seed = 0"),
    ("train tiny.yaml --runs-folder junk.bin", "junk.bin"),
    # test
    ("test", "the following arguments are required: RUN"),
    ("test runs/tinny", "not a run (no config.yaml in it)"),
    ("test runs/tinny", "did you mean 'tiny'?"),
    ("test store", "store: not a run"),
    ("test runs/no_checkpoint", "no checkpoint yet"),
    ("test runs/damaged", "not a checkpoint, or a damaged one"),
    ("test junk.pth", "junk.pth: a file, and not in the checkpoints/ of a run"),
    ("test runs/tiny --checkpoint best", "no evaluation has chosen one yet"),
    ("test runs/tiny --checkpoint step_00000005.pt", "did you mean 'step_00000004.pt'?"),
    ("test runs/tiny --checkpoint lsat", "lsat: no such checkpoint; did you mean 'last'?"),
    ("test runs/tiny/checkpoints/step_00000004.pt --checkpoint best", "a checkpoint already"),
    ("test runs/tiny --weights ema", "holds no averaged weights"),
    ("test runs/tiny --weights emma", "did you mean 'ema'?"),
    ("test runs/tiny --data nowhere", "nowhere: no such folder"),
    ("test runs/tiny --data store decode.scor=1", "did you mean 'score'?"),
    ("test runs/tiny data.val=[]", "data.val: no store given"),
    ("test runs/tiny model.head_width=8", "made by another model"),
    # detect
    ("detect runs/tiny", "the following arguments are required: CLOUD"),
    ("detect runs/tinny clouds", "not a run"),
    ("detect runs/tiny cloud", "cloud: no such file; did you mean 'clouds'?"),
    ("detect runs/tiny empty", "no point cloud in it"),
    ("detect runs/tiny clouds clouds/a.npy", "two clouds have this name"),
    ("detect runs/tiny junk.pth", "junk.pth"),
    ("detect runs/tiny junk.npz", "junk.npz"),
    ("detect runs/tiny clouds --score 3", "a score is from 0 to 1"),
    ("detect runs/tiny clouds --runtime onnx", "did you mean 'onnxruntime'?"),
    ("detect runs/tiny clouds --runtime int8", "network_int8.onnx: no such file; write it by"),
    ("detect runs/tiny clouds --up high", "a finite number needed"),
    ("detect runs/tiny clouds --bin-columns 0", "a whole number, at least 1, needed"),
    ("detect runs/tiny store", "store: no point cloud in it; files end in .npz"),
    ("detect runs/tiny clouds --format kitti", "clouds: no point cloud in it; files end in .bin"),
    ("detect runs/tiny clouds --format kity", "did you mean 'kitti'?"),
    ("detect runs/tiny clouds --format svg", "svg has formats of pictures; give --picture-format svg"),
    ("detect runs/tiny clouds --picture-format svgg", "--picture-format svgg: formats are png, svg, pdf, with commas"),
    ("detect runs/tiny clouds --picture-format png,pfd", "did you mean 'pdf'?"),
    ("detect runs/tiny clouds --theme drak", "did you mean 'dark'?"),
    ("detect runs/tiny clouds --output junk.bin", "junk.bin: File exists"),
    # view
    ("view nowhere", "neither a run (config.yaml) nor a frame store (manifest.json)"),
    ("view store --frame 99 --html h.html", "no such frame"),
    ("view store --frames 9: --html h.html", "names none of the 3 frames"),
    ("view store --frames 0:1 --frame 0 --html h.html", "give one of them"),
    ("view store --png p.jpg", "pictures are PNG, SVG or PDF files"),
    ("view store decode.score=1 --html h.html", "is for runs"),
    ("view store --colour clas --html h.html", "did you mean 'class'?"),
    ("view store --html empty", "error: empty: Is a directory; name a file, not a folder"),
    ("view store --rerun a.rdr", "recordings are .rrd files; choose a name that ends in .rrd"),
    ("view store --checkpoint last --html h.html", "is for runs, and this is a store of frames"),
    # detect-onnx and gpu-check
    ("detect-onnx junk.bin", "the following arguments are required: CLOUD"),
    ("detect-onnx none.onnx clouds", "none.onnx: no such file; `pcdet-poly export RUN --onnx --whole` writes one"),
    ("detect-onnx junk.bin clouds", "junk.bin: not an ONNX file that onnxruntime can run"),
    ("gpu-check --dry-run --parts equality,trainig", "--parts trainig: no such part; did you mean 'training'?"),
    # export and import-checkpoint
    ("export runs/tiny", "the following arguments are required: --onnx"),
    ("export runs/tinny --onnx", "not a run"),
    ("export runs/tiny --onnx --int8 --whole", "--int8"),
    ("export runs/tiny --onnx --calibrate stores/none", "--calibrate"),
    ("export runs/tiny --onnx --int8 --calibrate none", "none"),
    ("export runs/tiny --onnx --int8 --calibration-frames 0", "--calibration-frames"),
    ("import-checkpoint junk.pth", "the following arguments are required: --config"),
    ("import-checkpoint junk.pth --config tiny.yaml", "junk.pth"),
    ("import-checkpoint nowhere.pth --config tiny.yaml", "nowhere.pth"),
    ("import-checkpoint junk.pth --config tiny.yaml --encoder hrad", "did you mean 'hard'?"),
    ("import-checkpoint junk.pth --config tinny.yaml", "did you mean 'tiny.yaml'?"),
    ("import-checkpoint junk.pth --config tiny.yaml --weights emma", "did you mean 'ema'?"),
    ("import-checkpoint runs/tiny --config tiny.yaml", "runs/tiny: a folder; name a .pth checkpoint"),
    ("import-checkpoint tiny.yaml --config tiny.yaml", "tiny.yaml: not a file that torch.save wrote; name a .pth"),
    ("export runs/tiny --onnx empty", "error: empty: Is a directory; name a file, not a folder"),
    # evaluate and submit
    ("evaluate detections.parquet", "labels are missing"),
    ("evaluate detection.parquet labels.bin", "did you mean 'detections.parquet'?"),
    ("evaluate detections.parquet label.bin", "did you mean 'labels.bin'?"),
    ("evaluate others.parquet labels.bin", "no frame has labels"),
    ("evaluate junk.bin labels.bin", "junk.bin"),
    ("evaluate junk.npz", "junk.npz"),
    (
        "evaluate detections.parquet labels.bin --output table.txt",
        "choose a name that ends in .json, .csv or .md",
    ),
    ("evaluate detections.parquet labels.bin --breakdowns SIZES", "did you mean 'SIZE'?"),
    ("evaluate detections.parquet labels.bin --bootstrap -5", "a whole number, at least 0, needed"),
    ("evaluate detections.parquet labels.bin --config quik", "did you mean 'quick'?"),
    ("evaluate detections.parquet labels.bin --allow class-size", "did you mean 'class-sizes'?"),
    ("evaluate detections.parquet labels.bin --allow anything", "choose from 'class-sizes', 'class-order'"),
    ("evaluate detections.parquet labels.bin --frames predictoins", "did you mean 'predictions'?"),
    ("evaluate detections.parquet labels.bin --format sgv", "did you mean 'svg'?"),
    ("evaluate detections.parquet labels.bin --within 5,5,1,1", "write x0,y0,x1,y1 with x0 < x1 and y0 < y1, or all"),
    ("evaluate detections.parquet labels.bin --official /bin/true", "/bin/true: not an interpreter of Python"),
    ("evaluate detections.parquet labels.bin --plots junk.bin", "junk.bin: File exists"),
    ("evaluate detections.parquet labels.bin --against nowhere.parquet", "nowhere.parquet: no such file"),
    ("submit runs/tiny --output s.bin", "detections.parquet"),
    ("submit detections.parquet", "the following arguments are required: --output"),
    ("submit detections.parquet --output s.bin --account a@b.c", "unique_method_name"),
    ("submit detections.parquet --output s.bin --max-boxes 0", "a whole number, at least 1, needed"),
    ("submit detections.parquet --output s.bin --min-score nan", "a finite number needed"),
    ("submit detections.parquet --output s.bin --min-score 2", "a score is from 0 to 1"),
    ("submit detections.parquet --output empty", "error: empty: Is a directory; name a file, not a folder"),
    ("submit not_boxes.json --output s.bin", "not_boxes.json: not a readable Parquet file"),
    # reference
    ("reference", "the following arguments are required: FILE"),
    ("reference junk.npz", "known kinds:"),
    ("reference nowhere/mean_vfe_A.npz", "nowhere/mean_vfe_A.npz"),
    ("reference junk.npz --jsn", "did you mean '--json'?"),
    # data
    ("simulate", "--output DIR"),
    ("simulate a --output b", "--output DIR"),
    ("simulate new --segments 0", "a whole number, at least 1, needed"),
    ("simulate new --interval-s 0", "a number above 0 needed"),
    ("simulate new --format v3", "invalid choice: 'v3'"),
    ("simulate junk.bin", "junk.bin: a file; name a folder for the records"),
    ("simulate new --seed 99999999999999999999", "--seed"),
    ("simulate new --prefix a/b", "--prefix a/b: give the start of a file name"),
    ("simulate new --format V2", "did you mean 'v2'?"),
    ("preprocess junk.tfrecord", "the following arguments are required: --output"),
    ("preprocess nowhere --output new", "nowhere"),
    ("preprocess empty --output new", "empty"),
    ("preprocess junk.tfrecord --output new", "junk.tfrecord"),
    ("preprocess junk.tfrecord --output new --returns 3", "--returns: invalid choice: 3"),
    ("preprocess junk.tfrecord --output new --ray-address auto", "--ray-address needs --executor ray"),
    ("preprocess junk.tfrecord --output new --precision exakt", "did you mean 'exact'?"),
    ("preprocess junk.tfrecord --output new --worker 0", "a whole number, at least 1, needed"),
    ("preprocess junk.tfrecord --output new --executor rai", "did you mean 'ray'?"),
    ("preprocess junk.tfrecord --output new --on-error skp", "did you mean 'skip'?"),
    ("preprocess junk.tfrecord --output new --allow z-axes", "did you mean 'z-axis'?"),
    ("preprocess junk.tfrecord --output store", "store: made with returns = nothing, now 1 2"),
    ("preprocess runs/tiny --output new", "runs/tiny: no TFRecord file there, nor v2 components"),
    ("import-frames nowhere --output new", "nowhere: no such folder"),
    ("import-frames empty --output new", "empty"),
    ("import-frames frames --output new", "0.npz"),
    ("import-frames frames --output new --map car", "NAME=CLASS needed"),
    ("import-frames frames --output new --map Car=VEHCLE", "did you mean 'VEHICLE'?"),
    ("import-frames frames --output new --map Car=SIGN --drop Car", "--drop leaves Car out; give one of the two"),
    ("import-frames frames --output new --drop ,", "names with commas between them needed"),
    ("import-frames frames --output new --classes CAR,CAR", "each class needs a name of its own"),
    ("import-frames frames --output new --format kiti", "did you mean 'kitti'?"),
    ("import-frames frames --output new --format kitti", "frames"),
    ("import-frames frames --output new --timestamp-unit mss", "did you mean 'ms'?"),
    ("import-frames frames --output new --allow small_clouds", "did you mean 'small-cloud'?"),
    ("import-frames frames --output new --reader waimo", "did you mean 'waymo'?"),
    ("import-frames frames --output new --reader kitti", "a format that we know; give --format kitti"),
    ("import-frames frames --output new --format kitti --reader waymo", "give one of the two"),
    ("check nowhere", "nowhere: no such folder"),
    ("check empty", "no manifest.json"),
    ("build-bank store", "the following arguments are required: --output"),
    ("build-bank stor --output bank.arrow", "did you mean 'store'?"),
    ("build-bank store --output empty", "error: empty: Is a directory; name a file, not a folder"),
    ("build-bank store --output bank.arrow --every none", "a whole number, at least 1, needed"),
    # studies
    ("sweep stud.yaml", "did you mean 'study.yaml'?"),
    ("sweep study_typo.yaml", "study_typo.yaml: seedz: no such key; did you mean 'seeds'?"),
    ("sweep tiny.yaml", "of a config, and a sweep's file names configs under `models:`"),
    ("sweep study.yaml --executor lokal", "did you mean 'local'?"),
    ("sweep list.yaml", "list.yaml"),
    ("sweep study.yaml train.epochz=1", "did you mean 'epochs'?"),
    ("sweep study.yaml data.val=[]", "data.val: a sweep needs frames to evaluate on"),
    ("sweep study.yaml --workers 0", "a whole number, at least 1, needed"),
    ("sweep study.yaml --ray-address auto", "--ray-address needs --executor ray"),
    ("report nowhere", "not a sweep's folder"),
    ("report empty --resamples 0", "a whole number, at least 1, needed"),
    ("answers", "the following arguments are required: DIR"),
    ("answers nowhere", "nowhere: no such folder"),
    ("answers stor", "did you mean 'store'?"),
    ("answers empty", "empty: no answers.csv; write the report of the study"),
    ("loss-lab", "the following arguments are required: --output"),
    ("loss-lab --output new --run runs/tinny", "not a run"),
    ("loss-lab --output new --run runs/tiny --data nowhere", "nowhere: no such folder"),
    ("paper --parts vehicle", "did you mean 'vehicles'?"),
    ("paper --parts ,", "parts are classification, detection, masks, vehicles, pedestrians"),
    ("paper --parts detection,vehicle", "did you mean 'vehicles'?"),
    ("paper --studies nowhere", "--studies nowhere: no such folder"),
    ("paper --studies stor", "did you mean 'store'?"),
    ("report empty --picture-format gif", "--picture-format gif: formats are png, svg, pdf"),
    ("digits --output new --picture-format pngg", "did you mean 'png'?"),
    ("digits --output new --seeds 1", "an interval needs at least 2 seeds"),
    # looking inside
    ("config", "the following arguments are required: what"),
    ("config shw tiny.yaml", "did you mean 'show'?"),
    ("config show", "CONFIG is needed"),
    ("config schema tiny.yaml", "takes no further words"),
    ("config show tiny.yaml train.epochz=1", "did you mean 'epochs'?"),
    ("summary tinny.yaml", "did you mean 'tiny.yaml'?"),
    ("summary tiny.yaml --jsn", "did you mean '--json'?"),
    ("compare-simulation nowhere.bin", "nowhere.bin"),
    ("compare-simulation junk.bin", "not a file of float32 rows of 5"),
    ("draw-simulation --seed -1", "a whole number, at least 0, needed"),
    ("draw-simulation --seed 1 2", "2: one word too many"),
    ("completion csh", "invalid choice: 'csh'"),
    ("completion bsh", "did you mean 'bash'?"),
    ("config copy quick tiny.yaml", "tiny.yaml"),
    ("config list quick", "takes no further words"),
    ("draw-simulation --output a.gif", "a.gif: this picture is a PNG; choose a name that ends in .png"),
    ("demo --workers two", "a whole number, at least 1, needed"),
]


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file below with size and time of the last change, and every folder: a lock may come and go in one."""
    stats = {path: path.stat() for path in folder.rglob("*")}
    return {path: (0, 0) if path.is_dir() else (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def test_there_are_a_hundred() -> None:
    assert len(WRONG_USES) >= 100


@pytest.mark.parametrize(("words", "says"), WRONG_USES, ids=[words for words, _ in WRONG_USES])
def test_a_wrong_use_is_one_line_and_writes_nothing(
    words: str, says: str, world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = snapshot(world)
    code = main(shlex.split(words))
    error = capfd.readouterr().err
    assert (code, error.count("\n")) == (2, 1), error
    assert error.startswith("error: ")
    assert says in error
    assert snapshot(world) == before


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["-m", "pcdet_poly", "trian"], "did you mean 'train'?"),
        ([str(ROOT / "train.py"), "nowhere.yaml"], "no such config file"),
        ([str(ROOT / "test.py"), "nowhere"], "not a run"),
        ([str(ROOT / "data_tools/check_frames.py"), "nowhere"], "no such folder"),
        (["-m", "pcdet_poly.models.summary", "nowhere.yaml"], "no such config file"),
    ],
    ids=lambda value: "",
)
def test_a_process_ends_so_too(command: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []
