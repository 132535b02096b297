"""Waymo's own conversion of a TFRecord, for bench_convert: run by an interpreter that has waymo-open-dataset.

    OFFICIAL_PYTHON convert_official.py FILE.tfrecord --repeat N

Prints JSON: CPU seconds per frame (each repetition, after one that warms TensorFlow up) and points per frame.
Needs waymo-open-dataset-tf-2-12-0==1.6.7 with TensorFlow 2.13 on Python 3.10 or 3.11, protobuf below 5. It imports
nothing of this project.
"""

import argparse
import builtins
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from waymo_open_dataset import dataset_pb2
from waymo_open_dataset.utils import frame_utils

# The official code hands a bytearray to ParseFromString, which protobuf 4.21 to 5.27 refuse.
frame_utils.bytearray = builtins.bytes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    record = next(iter(tf.data.TFRecordDataset(arguments.file).as_numpy_iterator()))
    num_points = convert(record)
    seconds = []
    for _ in range(arguments.repeat):
        start = time.process_time()
        convert(record)
        seconds.append(time.process_time() - start)
    print(json.dumps({"cpu_s": seconds, "num_points": num_points, "tensorflow": tf.__version__}))


def convert(record):
    """Both returns of all LiDARs, as the official tutorial does it; the number of points."""
    frame = dataset_pb2.Frame()
    frame.ParseFromString(record)
    images, projections, _, pose = frame_utils.parse_range_image_and_camera_projection(frame)
    num_points = 0
    for number in (0, 1):
        points, _ = frame_utils.convert_range_image_to_point_cloud(
            frame, images, projections, pose, ri_index=number, keep_polar_features=True
        )
        num_points += sum(len(part) for part in points)
    return num_points


if __name__ == "__main__":
    main()
