"""Asks TensorFlow for SSD (each class for itself) and YOLOv5 (the likeliest class).

In an environment with tensorflow-cpu 2.21.0 (Apache-2.0), in this folder:
``python make_tensorflow_golden.py > tensorflow.json``.
"""

from __future__ import annotations

import tensorflow as tf
from peers import IOU, MOST, PICTURES, SCORE, answer, read_outputs, write


def merge(yxyx: tf.Tensor, scores: tf.Tensor, *, clip: bool) -> list[tf.Tensor]:
    found = tf.image.combined_non_max_suppression(
        yxyx[None, :, None],
        scores[None],
        max_output_size_per_class=MOST,
        max_total_size=MOST,
        iou_threshold=IOU,
        score_threshold=SCORE,
        clip_boxes=clip,
    )
    count = int(found.valid_detections[0])
    boxes = tf.gather(found.nmsed_boxes[0, :count], [1, 0, 3, 2], axis=1)
    return [found.nmsed_classes[0, :count], found.nmsed_scores[0, :count], boxes]


def ask_ssd(outputs: dict) -> dict:
    class_id, score, boxes = merge(outputs["ssd_boxes"][0], outputs["ssd_scores"][0], clip=True)
    return answer(class_id, score, boxes * 300)


def ask_v5(outputs: dict) -> dict:
    centre, size, objectness, classes = tf.split(outputs["v5"][0], [2, 2, 1, 90], axis=1)
    corners = tf.concat([centre - size / 2, centre + size / 2], axis=1)
    product = objectness * classes
    best = tf.one_hot(tf.argmax(product, axis=1), 90) * product
    yxyx = tf.gather(corners, [1, 0, 3, 2], axis=1)
    class_id, score, boxes = merge(yxyx, best, clip=False)
    return answer(class_id, score, tf.clip_by_value(boxes, 0, 300))


if __name__ == "__main__":
    outputs = {picture: read_outputs(picture) for picture in PICTURES}
    write(
        f"tensorflow {tf.__version__}",
        {
            "ssd": {picture: ask_ssd(found) for picture, found in outputs.items()},
            "v5": {picture: ask_v5(found) for picture, found in outputs.items()},
        },
    )
