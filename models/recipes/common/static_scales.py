"""Variant s8: products of int8 numbers, with activation scales that are fixed in advance.

Dynamic quantisation takes one scale from the whole batch, so a row's result would depend on the
rows beside it. Here every scale comes from calibration texts and is part of the file.

A few channels hold numbers ten times as large as the others and would claim the whole grid, so
each channel is divided by a factor first and its weights are multiplied by it (SmoothQuant, Xiao
et al. 2023).
"""

import copy

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from .sessions import open_session, pad
from .weight_only import constants_of, insert_nodes, replace_constant

# Weights use 7 bits: with 8, pairs of products overflow 16 bits on CPUs with AVX2 but no VNNI.
LARGEST_WEIGHT = 64
ACTIVATION_STEPS = 255
SMALLEST_PEAK = 1e-5
# The share of a channel's size that moves into its weights: found on sentiment's dev rows.
SMOOTHING = 0.7
SMOOTHING_AFTER_GELU = 0.8


def quantize_products(model: ModelProto, calibration: list[list[int]]) -> ModelProto:
    """Every `MatMul` by a constant becomes an int8 product that returns fp32.

    Written as QuantizeLinear and DequantizeLinear around the product, which ONNX Runtime turns
    into one integer kernel. `calibration` holds the ids of texts.
    """
    constants = constants_of(model)
    products = products_by_input(model)
    ranges = observe(model, list(products), calibration)
    for tensor, nodes in products.items():
        weights = [numpy_helper.to_array(constants[node.input[1]]) for node in nodes]
        factors = smoothing_factors(ranges[tensor], weights)
        quantize_activation(model, tensor, ranges[tensor] / factors, 1 / factors)
        for node, array in zip(nodes, weights):
            name = node.input[1]
            node.input[0] = f"{tensor}_dq"
            node.input[1] = f"{name}_dq"
            quantize_weights(model, name, array * factors[:, None])
    return model


def products_by_input(model: ModelProto) -> dict[str, list[NodeProto]]:
    """The products by a constant; query, key and value share an input."""
    constants = constants_of(model)
    products = {}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            products.setdefault(node.input[0], []).append(node)
    return products


def observe(
    model: ModelProto, names: list[str], calibration: list[list[int]]
) -> dict[str, np.ndarray]:
    """Smallest and largest number of each channel, [2, channels], over all texts one by one."""
    watched = copy.deepcopy(model)
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = open_session(watched.SerializeToString())
    ranges = {}
    for ids in calibration:
        for name, value in zip(names, session.run(names, pad([ids]))):
            flat = value.reshape(-1, value.shape[-1])
            low, high = ranges.get(name, (np.inf, -np.inf))
            ranges[name] = np.minimum(low, flat.min(0)), np.maximum(high, flat.max(0))
    return {name: np.stack(pair) for name, pair in ranges.items()}


def smoothing_factors(ranges: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """What each channel is divided by, [channels]; their geometric mean is 1."""
    inputs, outputs = weights[0].shape
    smoothing = SMOOTHING_AFTER_GELU if inputs > outputs else SMOOTHING
    peaks = np.maximum(np.abs(ranges).max(0), SMALLEST_PEAK)
    weight_peaks = np.max([np.abs(array).max(1) for array in weights], axis=0)
    factors = peaks**smoothing / np.maximum(weight_peaks, SMALLEST_PEAK) ** (1 - smoothing)
    return (factors / np.exp(np.log(factors).mean())).astype(np.float32)


def quantize_activation(
    model: ModelProto, tensor: str, ranges: np.ndarray, multipliers: np.ndarray
) -> None:
    """Adds `<tensor>_dq`: the tensor times `multipliers`, on a uint8 grid that spans `ranges`."""
    low, high = min(float(ranges.min()), 0.0), max(float(ranges.max()), 0.0)
    scale = np.float32((high - low) / ACTIVATION_STEPS)
    constants = {
        f"{tensor}_multipliers": multipliers,
        f"{tensor}_scale": np.array(scale),
        f"{tensor}_zero": np.array(np.uint8(round(-low / scale))),
    }
    names = list(constants)
    model.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in constants.items()
    )
    nodes = [
        helper.make_node("Mul", [tensor, names[0]], [f"{tensor}_even"]),
        helper.make_node("QuantizeLinear", [f"{tensor}_even", *names[1:]], [f"{tensor}_q"]),
        helper.make_node("DequantizeLinear", [f"{tensor}_q", *names[1:]], [f"{tensor}_dq"]),
    ]
    insert_nodes(model, producer_position(model, tensor) + 1, nodes)


def quantize_weights(model: ModelProto, name: str, array: np.ndarray) -> None:
    """Replaces weights [inputs, outputs] by int8 ones with a scale per output, as `<name>_dq`."""
    scales = (np.abs(array).max(0) / LARGEST_WEIGHT).astype(np.float32)
    scales[scales == 0] = 1
    values = np.clip(np.round(array / scales), -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.int8)
    zeros = np.zeros(len(scales), np.int8)
    parts = {f"{name}_q": values, f"{name}_s": scales, f"{name}_z": zeros}
    replace_constant(model, constants_of(model)[name], parts)
    insert_nodes(
        model, 0, [helper.make_node("DequantizeLinear", list(parts), [f"{name}_dq"], axis=1)]
    )


def producer_position(model: ModelProto, tensor: str) -> int:
    return next(
        position for position, node in enumerate(model.graph.node) if tensor in node.output
    )
