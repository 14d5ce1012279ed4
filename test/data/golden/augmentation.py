"""Results of torchvision's image operations on one image: augmentation.json.

python augmentation.py IMAGE WIDTH HEIGHT > augmentation.json

IMAGE is brought to WIDTH x HEIGHT pixels. The committed file holds the photograph "astronaut" of scikit-image (NASA, in the
public domain) in 24 x 20.
"""

import base64
import json
import sys

import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

file, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
photo = Image.open(file).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
colour = v2.functional.pil_to_tensor(photo)
grey = v2.functional.pil_to_tensor(photo.convert("L"))


def encoded(image):
    return base64.b64encode(image.permute(1, 2, 0).contiguous().numpy().tobytes()).decode()


blends = [0.1, 0.73, 1.27, 1.9]
cases = [
    *[("brightness", [f], lambda x, f=f: F.adjust_brightness(x, f)) for f in blends],
    *[("contrast", [f], lambda x, f=f: F.adjust_contrast(x, f)) for f in blends],
    *[("saturation", [f], lambda x, f=f: F.adjust_saturation(x, f)) for f in blends],
    *[("sharpness", [f], lambda x, f=f: F.adjust_sharpness(x, f)) for f in blends],
    *[("hue", [f], lambda x, f=f: F.adjust_hue(x, f)) for f in [-0.5, -0.2, 0.05, 0.31, 0.5]],
    *[("posterize", [b], lambda x, b=b: F.posterize(x, b)) for b in [1, 4, 7]],
    *[("solarize", [t], lambda x, t=t: F.solarize(x, t)) for t in [0.0, 76.5, 178.5, 255.0]],
    ("autoContrast", [], F.autocontrast),
    ("equalize", [], F.equalize),
]


def apply(name, magnitude, sign, image):
    """One operation of RandAugment, with this sign."""
    transform = v2.RandAugment(num_ops=1, magnitude=magnitude)
    transform._AUGMENTATION_SPACE = {name: v2.RandAugment._AUGMENTATION_SPACE[name]}
    drawn = torch.rand
    torch.rand = lambda *_: torch.tensor(0.0 if sign < 0 else 1.0)
    try:
        return transform(image)
    finally:
        torch.rand = drawn


found = [
    {"name": name, "arguments": arguments, "pixels": encoded(operation(image)), "channels": image.shape[0]}
    for image, wanted in [(colour, None), (grey, ["contrast", "equalize", "saturation", "sharpness"])]
    for name, arguments, operation in cases
    if wanted is None or name in wanted
]
operations = [
    {"index": index, "name": name, "magnitude": magnitude, "sign": sign, "pixels": encoded(apply(name, magnitude, sign, colour))}
    for index, name in enumerate(v2.RandAugment._AUGMENTATION_SPACE)
    for magnitude, sign in [(9, 1), (14, -1), (30, 1)]
]

batch = torch.stack([colour, colour.flip(-1), colour.flip(-2)]).float() / 255
mixup = v2.MixUp(num_classes=3)
share = 0.3
mixup.make_params = lambda _: {"lam": share}
mixed, _ = mixup(batch, torch.tensor([0, 1, 2]))


def encoded_floats(images):
    return base64.b64encode(images.permute(0, 2, 3, 1).contiguous().numpy().astype("<f4").tobytes()).decode()


cutmix = v2.CutMix(num_classes=3)
cutmix._dist = type("Given", (), {"sample": lambda self, _: torch.tensor([0.6])})()
drawn = torch.randint
torch.randint = lambda limit, size: torch.tensor([limit - 5])
cut, cut_labels = cutmix(batch, torch.tensor([0, 1, 2]))
torch.randint = drawn

json.dump(
    {
        "torchvision": torchvision.__version__,
        "height": height,
        "width": width,
        "colour": encoded(colour),
        "grey": encoded(grey),
        "operations": found,
        "randAugment": operations,
        "mixup": {"share": share, "images": encoded_floats(mixed)},
        "cutmix": {"drawn": 0.6, "x": width - 5, "y": height - 5, "share": float(cut_labels[0, 0]), "images": encoded_floats(cut)},
    },
    sys.stdout,
    indent=0,
)
