# SPDX-License-Identifier: Apache-2.0
class TensorAccessPattern:
    """One piece of a tensor: the pattern that the designs use."""

    def __init__(self, tensor_dims, offset, sizes, strides):
        (one, elements), (*ones, count), steps = tensor_dims, sizes, strides
        if one != 1 or ones != [1, 1, 1] or steps != [0, 0, 0, 1]:
            raise ValueError(f"not one piece: {tensor_dims}, {sizes}, {strides}")
        if offset < 0 or offset + count > elements:
            raise ValueError(f"{count} elements from {offset} on of {elements}")
        self.elements, self.piece = elements, slice(offset, offset + count)
