"""`python -m pcdet_poly.runtime` is the command `pcdet-poly detect-onnx`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("detect-onnx")
