"""What pyproject.toml cannot say: configs/ travels inside the package, as pcdet_poly/configs/."""

from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = sorted(path.name for path in (Path(__file__).resolve().parent / "configs").iterdir() if path.is_dir())
CONFIGS = {"pcdet_poly.configs": "configs"} | {f"pcdet_poly.configs.{name}": f"configs/{name}" for name in FOLDERS}

setup(
    packages=[*find_packages(include=["pcdet_poly*"]), *CONFIGS],
    package_dir=CONFIGS,
    package_data={
        "pcdet_poly": ["py.typed"],
        "pcdet_poly.experiments.report": ["page/*"],
        "pcdet_poly.visualization": ["page/*"],
        "pcdet_poly.visualization.viewer": ["page/*"],
        **{name: ["*.yaml"] for name in CONFIGS},
    },
)
