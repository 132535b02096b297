"""What pyproject.toml cannot say: configs/ travels inside the package, as pcdet_poly/configs/."""

from setuptools import find_packages, setup

CONFIGS = {"pcdet_poly.configs": "configs"} | {
    f"pcdet_poly.configs.{name}": f"configs/{name}" for name in ("poly", "sweeps")
}

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
