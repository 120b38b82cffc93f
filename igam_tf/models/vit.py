"""A small vision transformer for images of 32 pixels."""

import keras
from keras import ops

from igam_tf.models.activations import activation as activation_layer
from igam_tf.models.data_format import channels_last
from igam_tf.models.normalization import NORMALIZATIONS, check_normalization


@channels_last()
def vit(
    *,
    patch_size: int = 4,
    depth: int = 7,
    width: int = 384,
    mlp_units: int | None = None,
    num_heads: int = 12,
    num_classes: int = 10,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    normalization: str = "none",
    activation: str = "gelu",
    name: str = "vit",
) -> keras.Model:
    """Vision transformer with a class token and learned positions, without dropout.

    The defaults are the ViT of PAG (GitHub `royg27/PAG-ROB`): 4x4 patches, 7 layers,
    384 units throughout, 12 heads. What they do not state: layer normalisation
    comes first in each block and once before the logits, with epsilon 1e-5.

    Args:
        patch_size: side of the square patches in pixels.
        depth: number of transformer blocks.
        width: units of a token.
        mlp_units: hidden units of a block's MLP; None for `width`.
        num_heads: attention heads, of `width / num_heads` units each.
        num_classes: number of logits.
        image_shape: (height, width, channels); the sides divisible by patch_size.
        normalization: one of `igam_tf.models.NORMALIZATIONS`; see `preact_resnet`.
        activation: of the MLPs, one of `igam_tf.models.ACTIVATIONS`.
        name: the model's name.

    Returns:
        keras.Model from images (batch, *image_shape) in [0, 1] to logits
        (batch, num_classes), made of keras layers and ops only.

    Raises:
        ValueError: if a size or a name is not legal.
    """
    _check(patch_size, width, num_heads, image_shape, normalization)
    images = keras.Input(image_shape, name="images")
    x = _tokens(NORMALIZATIONS[normalization](images), patch_size, width)
    for block in range(depth):
        x = _block(x, num_heads, mlp_units or width, activation, f"block_{block}")
    x = _layer_norm("last_norm")(x[:, 0])
    logits = keras.layers.Dense(num_classes, dtype=keras.config.floatx(), name="logit")(
        x
    )
    return keras.Model(images, logits, name=name)


def _tokens(images, patch_size, width):
    """One projection, with a separate bias for each position.

    The bias is the learned position. A patch of zeros in front leaves its bias alone
    after the projection: the class token. So neither needs a layer of our own.
    """
    rows, columns = (side // patch_size for side in images.shape[1:3])
    channels = images.shape[-1]
    x = ops.reshape(images, (-1, rows, patch_size, columns, patch_size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    x = ops.reshape(x, (-1, rows * columns, patch_size**2 * channels))
    x = keras.layers.ZeroPadding1D((1, 0), name="class_token")(x)
    return keras.layers.EinsumDense(
        "btp,pd->btd",
        output_shape=(rows * columns + 1, width),
        bias_axes="td",
        bias_initializer=keras.initializers.RandomNormal(stddev=0.02),
        name="embedding",
    )(x)


def _block(x, num_heads, mlp_units, activation, name):
    """Attention, then an MLP, each behind a layer norm and beside a shortcut."""
    width = x.shape[-1]
    y = _layer_norm(f"{name}_norm1")(x)
    y = keras.layers.MultiHeadAttention(
        num_heads, width // num_heads, name=f"{name}_attention"
    )(y, y)
    x = keras.layers.Add(name=f"{name}_add1")([x, y])
    y = _layer_norm(f"{name}_norm2")(x)
    y = keras.layers.Dense(mlp_units, name=f"{name}_mlp1")(y)
    y = activation_layer(activation, f"{name}_activation")(y)
    y = keras.layers.Dense(width, name=f"{name}_mlp2")(y)
    return keras.layers.Add(name=f"{name}_add2")([x, y])


def _layer_norm(name):
    return keras.layers.LayerNormalization(epsilon=1e-5, name=name)


def _check(patch_size, width, num_heads, image_shape, normalization):
    if any(side % patch_size for side in image_shape[:2]):
        raise ValueError(
            f"patch_size={patch_size}: patches must tile images of shape "
            f"{tuple(image_shape)}; choose a divisor of both sides."
        )
    if width % num_heads:
        raise ValueError(
            f"num_heads={num_heads}: heads must share the width {width} evenly; choose "
            "a divisor of it."
        )
    check_normalization(normalization)
