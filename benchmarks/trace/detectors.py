"""Slim forms of every detector, as texts of config files. Together they switch on most of what training can do.

The files stand alone: they have no `base:`, and no setting is left to configs/, which are traced by themselves.
"""

from __future__ import annotations

BACKBONE = "{layers: [1, 2], strides: [2, 2], channels: [16, 32], up_strides: [1, 2], up_channels: [16, 16]}"

COMMON = """
data: {classes: [VEHICLE, PEDESTRIAN, CYCLIST], workers: 0}
grid: {lower: [-25.6, -25.6, -3], upper: [25.6, 25.6, 5], cell: [0.4, 0.4, 8]}
decode: {score: 0.02, nms_iou: 0.2, top_k: 100, max_detections: 100}
train: {steps: 10, batch_size: 2, log_every: 1, norm_momentum: 0.1, seed: 7, threads: 1, mixed_precision: false}
evaluation: {within: [-25.6, -25.6, 25.6, 25.6], batch_size: 2, pictures: 0}
"""

# Objects pasted, velocities, an average of the weights, epsilon per class.
PILLAR = f"""
model:
  kind: centerpoint_pillar
  encoder_channels: [16, 16]
  backbone: {BACKBONE}
  head_width: 16
  velocity: true
classification: {{epsilon: [1.0, 0.5, -0.5]}}
paste: {{bank: OBJECTS, objects: [10, 10, 10], fill: false}}
train: {{ema: 0.9}}
"""

# Heading bins, Poly-N, gradients accumulated, rescoring.
PILLAR_IOU = f"""
model:
  kind: centerpoint_pillar
  encoder_channels: [16, 16]
  backbone: {BACKBONE}
  head_width: 16
  iou_branch: true
  heading: bins
classification: {{epsilons: [0.5, -0.25], normalizer: peaks}}
decode: {{iou_weight: [0.68, 0.71, 0.65], nms_iou: [0.7, 0.6, 0.55]}}
train: {{accumulate: 2, batch_size: 1}}
"""

# Two sweeps, residual blocks, epsilon of the background growing along a cosine.
VOXEL = """
data: {sweeps: 2}
grid: {cell: [0.2, 0.2, 0.25]}
model:
  kind: centerpoint_voxel
  residual: true
  channels: [8, 12, 16]
  layers: [1, 1, 1]
  out_channels: 16
  backbone: {layers: [1, 1], strides: [1, 2], channels: [16, 32], up_strides: [1, 2], up_channels: [16, 16]}
  head_width: 16
classification: {epsilon: 1.0, epsilon_background: 2.0, schedule: cosine, schedule_until: 0.5}
targets: {radius: corrected}
"""

# Negative epsilon, boxes of all classes compete.
ANCHORS = f"""
model:
  kind: pointpillars
  encoder_channels: [16, 16]
  backbone: {BACKBONE}
classification: {{epsilon: -0.4}}
decode: {{nms: class_agnostic, score: 0.005}}
"""

# Two epsilons, one growing; Adam with a cosine. The foreground score is low, so that points go on after ten steps.
RSN = """
data: {classes: [VEHICLE], returns: [1]}
grid: {cell: [0.4, 0.4, 8]}
model:
  kind: rsn
  image: {columns: 662, channels: [8, 16, 16, 16], blocks: [1, 1, 1, 1]}
  channels: 16
  foreground_score: 0.05
  segmentation: {epsilon: 0.5}
classification: {epsilon: 1.0, schedule: linear}
decode: {nms: none, nms_iou: 0.7}
augment: {scale: [1, 1]}
train: {optimizer: adam, weight_decay: 0, schedule: cosine, warmup: 2}
"""

# Trained until it finds something, on frames without augmentation: its metrics are not all 0.
LEARNED = f"""
model:
  kind: centerpoint_pillar
  encoder_channels: [16, 16]
  backbone: {BACKBONE}
  head_width: 16
classification: {{epsilon: 1.0}}
augment: {{flip_x: false, flip_y: false, rotation_rad: 0, scale: [1, 1]}}
train: {{steps: 90, log_every: 15}}
"""

DETECTORS = {
    "centerpoint_pillar": PILLAR,
    "centerpoint_pillar_iou": PILLAR_IOU,
    "centerpoint_voxel": VOXEL,
    "pointpillars": ANCHORS,
    "rsn_vehicle": RSN,
    "learned": LEARNED,
}
