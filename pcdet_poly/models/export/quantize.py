"""An ONNX file of a dense part in float32 -> the same in 8-bit integers, calibrated on images."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.optional_libraries import import_quantization
from pcdet_poly.runtime.checksum import add_checksum


class _Images:
    """Images as onnxruntime's calibration reads them."""

    def __init__(self, images: Iterable[np.ndarray]) -> None:
        self.images: Iterator[np.ndarray] = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next image by the input's name; None after the last."""
        image = next(self.images, None)
        return None if image is None else {"image": image}


def quantize_dense_part(path: Path, output: Path, images: Iterable[np.ndarray]) -> None:
    """Write a dense part with its convolutions in 8-bit integers, whole or not at all.

    Weights have a scale for each channel; activations one for each tensor, from their extremes on the images. The last
    convolution of each map stays float32: it costs next to nothing, and centimetres of boxes hang on it.

    Args:
        path: the ONNX file in float32, without a checksum.
        output: the file to write.
        images: (1, C, H, W) float32 each, as the network meets them; one by one, so that a generator will do.

    Raises:
        UserError: onnxruntime or onnx is not installed, or there is no image.
    """
    quantization, images = import_quantization(), iter(images)
    if (first := next(images, None)) is None:
        raise UserError("--calibrate: no frame to calibrate on; name a store with frames")
    with atomic_path(output) as temporary, _silence_advice():
        quantization.quantize_static(
            str(path),
            str(temporary),
            _Images(_chain(first, images)),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=_list_last_nodes(path),
        )
        add_checksum(temporary)


@contextmanager
def _silence_advice() -> Iterator[None]:
    """Hide the advice to prepare the file: its norms are folded, and its shapes known."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _chain(first: np.ndarray, others: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from others


def _list_last_nodes(path: Path) -> list[str]:
    """List the nodes between the last convolutions and the outputs, these convolutions included, by name."""
    import onnx

    graph: Any = onnx.load(str(path), load_external_data=False).graph
    maker = {name: node for node in graph.node for name in node.output}
    found, waiting = [], [output.name for output in graph.output]
    while waiting:
        if (node := maker.get(waiting.pop())) is not None and node.name not in found:
            found.append(node.name)
            if node.op_type not in ("Conv", "ConvTranspose"):
                waiting += node.input
    return found
