"""Images as the input of a classifier that `pod-dist export` wrote, by the rules of its classifier.json.

    description = json.load(open("faces_torch/classifier.json"))
    images = prepare(Image.open("photo.jpg"), description)[None]      # float32 [1, channels, size, size]

Pixels differ from those of pod-dist by what its decoder and Pillow round and resize differently. Needs the packages
Pillow and numpy.
"""

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms, ImageOps


def prepare(image, description):
    """A Pillow image as a float32 array [channels, size, size]."""
    rules = description["preprocessing"]
    if rules["orientation"] == "exif":
        image = ImageOps.exif_transpose(image)
    image = sized(painted(to_srgb(image), rules["alpha"]), rules)
    if rules["channels"] == "grey":
        pixels = grey(image, rules["grey"])[:, :, None]
    else:
        pixels = np.asarray(image, dtype=np.uint8)
    values = (pixels.astype(np.float32) / 255 - np.float32(rules["mean"])) / np.float32(rules["std"])
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)


def to_srgb(image):
    """RGB or RGBA of sRGB, by the image's own colour profile if it has one."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    profile = image.info.get("icc_profile")
    transparent = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    plain = image
    if image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        plain = image.convert("RGBA" if transparent else "RGB")
    elif transparent:
        plain = image.convert("RGBA")
    if not profile:
        return plain if plain.mode == "RGBA" else plain.convert("RGB")
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    if plain.mode != "RGBA":
        return ImageCms.profileToProfile(plain, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    colours = plain.convert("RGB")
    colours = ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    colours.putalpha(plain.getchannel("A"))
    return colours


def painted(image, alpha):
    """RGB: transparent parts over the background, or their hidden colours where transparency is dropped."""
    if image.mode != "RGBA" or alpha == "drop":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, alpha["background"]), image).convert("RGB")


def sized(image, rules):
    size, resize = rules["size"], rules["resize"]
    if resize == "stretch":
        return stretched(image, size, size)
    scale = resize["shorterSide"] / min(image.size)
    width, height = (max(int(side * scale + 0.5), size) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return stretched(image, width, height).crop((left, top, left + size, top + size))


def stretched(image, width, height):
    """Reduced by Lanczos; where a side is enlarged, by a bicubic curve, half a pixel to the right and down, as libvips."""
    smaller = min(width, image.width), min(height, image.height)
    image = image.resize(smaller, Image.Resampling.LANCZOS)
    if smaller == (width, height):
        return image
    across, down = smaller[0] / width, smaller[1] / height
    matrix = (across, 0, -across / 2, 0, down, -down / 2)
    return image.transform((width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def grey(image, rule):
    """8-bit levels [height, width]: Rec. 601's luma, or the lightness of linear light."""
    if rule == "rec601":
        return np.asarray(image.convert("L"))
    values = np.asarray(image, dtype=np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    light = linear @ np.array([0.2126, 0.7152, 0.0722])
    levels = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(levels * 255).astype(np.uint8)
