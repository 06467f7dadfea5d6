r"""Train the defect model of the sample story and export it to ONNX.

    python -m server.demo.train_defects --steps 1100 --seed 0 \
        --out server/demo/models/board-defects/model.onnx

A small U-Net (Ronneberger et al., 2015) in plain PyTorch, of operators that every runtime has:
Conv, Relu, MaxPool, Resize, Concat and ConvTranspose. Needs the `train` extra. Boards come from the
train split only; the golden set judges at the end.
"""

import argparse
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from server.demo.board_sets import GOLDEN, TRAIN
from server.demo.boards import CLASSES, Flaws, render_board
from server.demo.score_defects import INPUT_SIZE, score_logits, shrink_mask

BATCH = 8
# Defects cover a hundredth of the picture; without weights the net may well see none of them.
CLASS_WEIGHT = (1.0, 3.0, 3.0)


class Block(nn.Module):
    """Convolution 3x3 → batch norm → ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Float32 NxCxHxW to NxC'xH'xW'."""
        return functional.relu(self.norm(self.conv(x)))

    def fold(self) -> None:
        """Melt the batch norm into the convolution; for the export, after training."""
        self.conv = fuse_conv_bn_eval(self.conv, self.norm)
        self.norm = nn.Identity()


class DefectNet(nn.Module):
    """RGB float32 Nx3x240x320 in 0-1 to logits Nx3x240x320, one channel a class.

    The widest maps are half the picture's size: the last step makes four pixels of each cell, which
    keeps thin scratches thin at a third of the cost of convolutions at full size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_half = nn.Sequential(Block(3, 16, stride=2), Block(16, 16))
        self.at_quarter = nn.Sequential(Block(16, 32), Block(32, 32))
        self.at_eighth = nn.Sequential(Block(32, 48), Block(48, 48))
        self.at_sixteenth = nn.Sequential(Block(48, 64), Block(64, 64))
        self.to_eighth = Block(64 + 48, 40)
        self.to_quarter = Block(40 + 32, 24)
        self.to_half = Block(24 + 16, 16)
        self.head = nn.ConvTranspose2d(16, len(CLASSES), 2, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        """Go down to a sixteenth of the size for context, and up again with what was seen there."""
        half = self.at_half(image)
        quarter = self.at_quarter(functional.max_pool2d(half, 2))
        eighth = self.at_eighth(functional.max_pool2d(quarter, 2))
        deep = self.at_sixteenth(functional.max_pool2d(eighth, 2))
        deep = self.to_eighth(_join(deep, eighth))
        deep = self.to_quarter(_join(deep, quarter))
        logits: Tensor = self.head(self.to_half(_join(deep, half)))
        return logits


def _join(deep: Tensor, skip: Tensor) -> Tensor:
    return torch.cat([functional.interpolate(deep, scale_factor=2.0, mode="nearest"), skip], dim=1)


def render_examples(count: int) -> tuple[Tensor, Tensor]:
    """The first `count` training boards: uint8 Nx3x240x320 and class indices Nx240x320."""
    images, masks = [], []
    for seed in TRAIN.seeds[:count]:
        draw = np.random.default_rng(seed).integers(0, 4, 3)
        board = render_board(seed, Flaws(int(draw[0]), int(draw[1]), bool(draw[2] == 0)))
        small = cv2.resize(board.image, INPUT_SIZE, interpolation=cv2.INTER_AREA)
        images.append(small[..., ::-1].transpose(2, 0, 1).copy())
        masks.append(shrink_mask(board.mask))
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks))


def relight(batch: Tensor, rng: torch.Generator) -> Tensor:
    """Vary exposure, colour cast, haze and noise; a third of the boards lie in evening light."""
    n = len(batch)
    gain = torch.empty(n, 1, 1, 1).uniform_(0.75, 1.25, generator=rng)
    gain[: n // 3].uniform_(0.25, 0.75, generator=rng)
    gain = gain * torch.empty(n, 3, 1, 1).uniform_(0.95, 1.05, generator=rng)
    haze = torch.empty(n, 1, 1, 1).uniform_(-0.04, 0.04, generator=rng) * gain
    noise = torch.randn(batch.shape, generator=rng) * 0.008
    return (batch * gain + haze + noise).clamp(0, 1)


def loss_of(logits: Tensor, truth: Tensor) -> Tensor:
    """Weighted cross entropy, for the pixel, plus soft Dice of the defects, for the region."""
    entropy = functional.cross_entropy(logits, truth, weight=torch.tensor(CLASS_WEIGHT))
    guess = logits.softmax(1)[:, 1:]
    wanted = functional.one_hot(truth, len(CLASSES)).permute(0, 3, 1, 2)[:, 1:].float()
    overlap = 2 * (guess * wanted).sum((0, 2, 3))
    dice = (overlap + 1) / ((guess + wanted).sum((0, 2, 3)) + 1)
    return entropy + 1 - dice.mean()


def train(steps: int, examples: int, seed: int) -> DefectNet:
    """Train on freshly lit batches; the learning rate rises once and falls to nothing."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    images, masks = render_examples(examples)
    net: DefectNet = DefectNet()
    net.train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for step in range(1, steps + 1):
        pick = torch.randint(len(images), (BATCH,), generator=rng)
        loss = loss_of(net(relight(images[pick] / 255.0, rng)), masks[pick].long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        if step % 50 == 0 or step == steps:
            print(f"step {step:5d} of {steps}  loss {loss.item():.3f}", flush=True)
    net.eval()
    return net


def export(net: DefectNet, out: Path) -> None:
    """Write the net with its batch norms folded: opset 17, fixed shape, `image` → `logits`."""
    for module in net.modules():
        if isinstance(module, Block):
            module.fold()
    out.parent.mkdir(parents=True, exist_ok=True)
    width, height = INPUT_SIZE
    with warnings.catch_warnings():
        # The newer exporter writes opset 18 and needs one more package; this one is enough.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net, (torch.zeros(1, 3, height, width),), str(out), opset_version=17, dynamo=False,
            input_names=["image"], output_names=["logits"],
        )  # fmt: skip


def main() -> None:
    """Train, export, and say how the exported file does on the golden set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=1100)
    parser.add_argument("--examples", type=int, default=600, help="boards to render for training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="0 leaves the choice to PyTorch")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    export(train(options.steps, options.examples, options.seed), options.out)
    net = cv2.dnn.readNetFromONNX(str(options.out))

    def predict(tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        net.setInput(tensor)
        return np.asarray(net.forward(), np.float32)

    print(score_logits(predict, (render_board(seed) for seed in GOLDEN.seeds)))


if __name__ == "__main__":
    main()
