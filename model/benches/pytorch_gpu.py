"""What `gpu_check` measures, in PyTorch and transformers on the same card: a line of JSON a number, named alike.

python model/benches/pytorch_gpu.py [--folder FOLDER] [--layers 28] [--tokens 8192] [--long-tokens 131072]

FOLDER is where `gpu_check parity --folder FOLDER` left its model and what the CPU computed with it. No download.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForTokenClassification, Qwen2Config

CLASS_WEIGHTS = [1.4, 0.8]


def emit(part, what, value, unit, failure=None):
    line = {"who": "pytorch", "part": part, "what": what, "value": value, "unit": unit, "failure": failure}
    print(json.dumps(line), flush=True)


def weighted_loss(logits, labels, weights):
    """The weighted cross-entropy over supervised positions, normalised by their weights."""
    return torch.nn.functional.cross_entropy(logits.float(), labels, weight=weights.float())


def relative(found, expected, least=0.0):
    expected = expected.double().cpu()
    difference = (found.detach().double().cpu() - expected).norm()
    return (difference / expected.norm().clamp(min=least)).item()


def parity(folder, device):
    from safetensors.torch import load_file

    for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        expected = load_file(folder / name / "expected.safetensors")
        # At loading, not after it: the angles of the rotary embedding stay in single precision.
        spelled = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
        model = AutoModelForTokenClassification.from_pretrained(folder / name / "model", **{spelled: dtype})
        model = model.to(device).eval()
        rows, start = [], 0
        for length in expected["lengths"].tolist():
            ids = expected["input_ids"][start : start + length].to(device)[None]
            own = expected["separators"]
            own = own[(own >= start) & (own < start + length)] - start
            rows.append(model(input_ids=ids, use_cache=False).logits[0][own.to(device)])
            start += length
        logits = torch.cat(rows)
        loss = weighted_loss(logits, expected["labels"].to(device), expected["class_weights"].to(device))
        loss.backward()
        emit("parity", f"logits, {name}", relative(logits, expected["logits"]), "relative")
        emit("parity", f"loss, {name}", abs(loss.item() - expected["loss"].item()), "absolute")
        gradients = {key.removeprefix("gradient."): value for key, value in expected.items() if key.startswith("gradient.")}
        total = torch.stack([value.double().norm() for value in gradients.values()]).norm().item()
        own = dict(model.named_parameters())
        worst = max(relative(own[key].grad, value, total * 1e-3) for key, value in gradients.items())
        emit("parity", f"gradients, {name}", worst, "relative")


def model_7b(layers, device):
    config = Qwen2Config(
        vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=layers, num_attention_heads=28,
        num_key_value_heads=4, max_position_embeddings=131072, rms_norm_eps=1e-6, tie_word_embeddings=False,
        num_labels=2, classifier_dropout=0.0, attention_dropout=0.0, use_cache=False, rope_theta=1e6,
    )
    torch.manual_seed(1)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            return AutoModelForTokenClassification.from_config(config, attn_implementation="sdpa")
    finally:
        torch.set_default_dtype(before)


def flops(layers, tokens):
    weights = 3584 * (2 * 3584 + 2 * 512) + 3 * 3584 * 18944
    return layers * (2 * tokens * weights + 2 * tokens * tokens * 3584)


def seconds(device, repeats, call):
    """The median of repeats after one call that is not counted."""
    def timed():
        synchronize(device)
        started = time.perf_counter()
        call()
        synchronize(device)
        return time.perf_counter() - started

    timed()
    return statistics.median(timed() for _ in range(repeats))


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def taken_gib(device):
    """What is taken of the card: PyTorch gives nothing back between steps, so this is the most there was."""
    if device != "cuda":
        return 0.0
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 2**30


def long_or_short(device, layers, tokens, training, repeats):
    model = model_7b(layers, device)
    model.train(training)
    if training:
        # As our training pass does.
        model.gradient_checkpointing_enable()
    ids = (torch.arange(tokens, device=device) * 7919 % 152064)[None]
    separators = torch.arange(31, tokens, 32, device=device)
    labels = (separators % 96 != 31).long()
    weights = torch.tensor(CLASS_WEIGHTS, device=device)

    def call():
        if not training:
            with torch.no_grad():
                return model(input_ids=ids).logits[0][separators].float().cpu()
        model.zero_grad(set_to_none=True)
        loss = weighted_loss(model(input_ids=ids).logits[0][separators], labels, weights)
        loss.backward()
        return loss.item()

    return seconds(device, repeats, call), taken_gib(device)


def throughput(part, what, options, layers, tokens, training, repeats):
    try:
        taken, gib = long_or_short(options.device, layers, tokens, training, repeats)
    except torch.OutOfMemoryError:
        emit(part, what, None, "ms" if part != "long" else "s", "out of memory")
        return
    share = 100 * (3 if training else 1) * flops(layers, tokens) / taken / (options.peak_tflops * 1e12)
    if part == "long":
        emit(part, what, taken, "s")
    else:
        emit(part, what, taken * 1e3, "ms")
        emit(part, what, tokens / taken, "tokens/s")
    emit(part, what, share, "% MFU")
    emit(part, what, gib, "GiB")


def attention(options, tokens):
    """The fused attention that transformers calls, with a 7B's heads."""
    query = torch.randn(1, 28, tokens, 128, device=options.device, dtype=torch.bfloat16, requires_grad=True)
    key, value = (
        torch.randn(1, 4, tokens, 128, device=options.device, dtype=torch.bfloat16, requires_grad=True) for _ in range(2)
    )

    def call(training):
        with torch.set_grad_enabled(training):
            repeated = (tensor.repeat_interleave(7, dim=1) for tensor in (key, value))
            output = torch.nn.functional.scaled_dot_product_attention(query, *repeated, is_causal=True)
        if training:
            output.float().sum().backward()

    for what, training, times in (("forward", False, 1.0), ("forward and backward", True, 3.5)):
        taken = seconds(options.device, 3, lambda training=training: call(training))
        share = 100 * times * 2 * tokens * tokens * 3584 / taken / (options.peak_tflops * 1e12)
        emit("attention", f"{what}, {tokens} tokens, bf16", taken * 1e3, "ms")
        emit("attention", f"{what}, {tokens} tokens, bf16", share, "% of peak")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["parity", "attention", "forward", "train", "long"])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--long-tokens", type=int, default=131072)
    parser.add_argument("--long-train-layers", type=int, default=1)
    parser.add_argument("--peak-tflops", type=float, default=989.0)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    if options.part == "parity":
        # Our products in f32 do not use TF32 either.
        torch.backends.cuda.matmul.allow_tf32 = False
        parity(options.folder, options.device)
    elif options.part == "attention":
        for tokens in (8192, 32768):
            attention(options, tokens)
    elif options.part in ("forward", "train"):
        what = f"7B shape, {options.layers} layers, {options.tokens} tokens, bf16"
        training = options.part == "train"
        throughput(options.part, what, options, options.layers, options.tokens, training, 2 if training else 3)
    else:
        tokens, layers = options.long_tokens, options.long_train_layers
        throughput("long", f"training pass, {layers} layers, {tokens} tokens", options, layers, tokens, True, 1)
        torch.cuda.empty_cache()
        throughput("long", f"forward, {options.layers} layers, {tokens} tokens", options, options.layers, tokens, False, 1)


if __name__ == "__main__":
    main()
