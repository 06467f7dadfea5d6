"""Asks transformers for DETR, RT-DETR and ViT: small nets of random weights on a real photograph.

The weights are seeds: what is compared is how the outputs are read. In an environment with
transformers 5.23.0 and torch 2.13.0 (Apache-2.0, BSD), in this folder:
``python make_transformers_golden.py > transformers.json`` writes transformers.npz too.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import transformers
from peers import FOLDER, answer, write
from transformers import (
    DetrImageProcessor,
    RTDetrImageProcessor,
    ViTConfig,
    ViTForImageClassification,
    YolosConfig,
    YolosForObjectDetection,
)
from transformers.models.rt_detr.configuration_rt_detr import RTDetrConfig
from transformers.models.rt_detr.modeling_rt_detr import RTDetrForObjectDetection

CLASSES, THRESHOLD = 7, 0.2
FRAME_HEIGHT_WIDTH = (342, 548)


def photograph(side: int) -> torch.Tensor:
    picture = cv2.imread(str(FOLDER.parents[1] / "samples" / "images" / "messi5.jpg"))
    resized = cv2.resize(picture, (side, side))[..., ::-1].transpose(2, 0, 1) / 255
    return torch.tensor(np.ascontiguousarray(resized[None]), dtype=torch.float32)


def spread(logits: torch.Tensor) -> torch.Tensor:
    """Scores as far apart as a trained net's: of each class some queries are sure, most are not."""
    return (logits - logits.mean(dim=-2)) / logits.std(dim=-2) * 2.5 - 2


def boxes_of(model: torch.nn.Module, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim in (2, 3):  # wide, or every query would answer the same
                torch.nn.init.normal_(weights, std=0.15)
        outputs = model.eval()(photograph(side))
    return spread(outputs.logits), outputs.pred_boxes


def ask(processor: object, logits: torch.Tensor, boxes: torch.Tensor) -> dict:
    outputs = type("Outputs", (), {"logits": logits, "pred_boxes": boxes})()
    (found,) = processor.post_process_object_detection(
        outputs, threshold=THRESHOLD, target_sizes=[FRAME_HEIGHT_WIDTH]
    )
    order = torch.argsort(-found["scores"], stable=True)
    return answer(found["labels"][order], found["scores"][order], found["boxes"][order])


def yolos() -> torch.nn.Module:
    return YolosForObjectDetection(
        YolosConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            image_size=[64, 64],
            num_detection_tokens=40,
            num_labels=CLASSES,
        )
    )


def rt_detr() -> torch.nn.Module:
    return RTDetrForObjectDetection(
        RTDetrConfig(
            num_labels=CLASSES, num_queries=60, d_model=32, encoder_hidden_dim=32,
            encoder_ffn_dim=32, decoder_ffn_dim=32, decoder_layers=2, decoder_attention_heads=2,
            encoder_attention_heads=2, decoder_in_channels=[32, 32, 32],
        )
    )  # fmt: skip


def vit() -> torch.nn.Module:
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        image_size=64, patch_size=16, num_labels=CLASSES,
    )  # fmt: skip
    return ViTForImageClassification(config)


if __name__ == "__main__":
    torch.manual_seed(3)
    softmax_logits, softmax_boxes = boxes_of(yolos(), 64)
    sigmoid_logits, sigmoid_boxes = boxes_of(rt_detr(), 320)
    with torch.no_grad():
        classes = vit().eval()(photograph(64)).logits * 10
    probability, class_id = torch.topk(classes.softmax(dim=1)[0], 5)
    np.savez_compressed(
        FOLDER / "transformers.npz",
        softmax_logits=softmax_logits, softmax_boxes=softmax_boxes,
        sigmoid_logits=sigmoid_logits, sigmoid_boxes=sigmoid_boxes, vit=classes,
    )  # fmt: skip
    write(
        f"transformers {transformers.__version__}",
        {
            "softmax": ask(DetrImageProcessor(), softmax_logits, softmax_boxes),
            "sigmoid": ask(RTDetrImageProcessor(), sigmoid_logits, sigmoid_boxes),
            "vit": {"class_id": class_id.tolist(), "score": probability.tolist()},
        },
    )
