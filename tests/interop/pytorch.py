"""Compares our model with PyTorch and transformers, and our encoding with TRL's PRMTrainer.

    python3 tests/interop/pytorch.py target/debug/examples/parity

Needs `torch`, `transformers` and, for the last check, `trl` up to 1.14 (later versions have no PRMTrainer).
Prints the largest difference of each comparison, and fails on the first that is past its tolerance.
"""

import inspect
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModelForTokenClassification, AutoTokenizer, Qwen2Config, Qwen2ForTokenClassification

TOLERANCE = 1e-4
SAMPLES = pathlib.Path(__file__).resolve().parent.parent / "samples" / "sven"

SHAPE = dict(
    vocab_size=301,
    hidden_size=48,
    intermediate_size=80,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    rms_norm_eps=1e-5,
    initializer_range=0.2,
    num_labels=2,
    classifier_dropout=0.0,
)
VARIANTS = {
    "tied, own theta": dict(tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 5e5}),
    "untied, sliding window from layer 1 on": dict(use_sliding_window=True, sliding_window=9, max_window_layers=1),
    "a window in the layers that layer_types names": dict(
        use_sliding_window=True,
        sliding_window=70,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    ),
}


def ours(parity, *arguments):
    subprocess.run([parity, *map(str, arguments)], check=True)


def within(what, difference, tolerance=TOLERANCE):
    print(f"  {what}: {difference:.1e}")
    assert difference <= tolerance, f"{what}: {difference} is past {tolerance}"


def random_job(draw):
    """Sequences of several lengths, so that one side packs and the other pads them."""
    sequences = []
    for length in (150, 1, 64, 23):
        positions = sorted(draw.sample(range(length), max(1, length // 8)))
        sequences.append(
            {
                "input_ids": [draw.randrange(SHAPE["vocab_size"]) for _ in range(length)],
                "positions": positions,
                "labels": [draw.randrange(2) for _ in positions],
            }
        )
    numbers = dict(learning_rate=1e-3, betas=[0.9, 0.95], epsilon=1e-8, weight_decay=0.1, steps=20)
    return dict(sequences=sequences, class_weights=[1.75, 0.5], **numbers)


def random_model(**changes):
    model = Qwen2ForTokenClassification(Qwen2Config(**SHAPE | changes))
    # Biases and norms start at constants: drawn, so that a mistake in one of them shows.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.train()


def padded(job):
    longest = max(len(sequence["input_ids"]) for sequence in job["sequences"])
    ids = torch.zeros(len(job["sequences"]), longest, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, sequence in enumerate(job["sequences"]):
        length = len(sequence["input_ids"])
        ids[row, :length], mask[row, :length] = torch.tensor(sequence["input_ids"]), 1
        labels[row, sequence["positions"]] = torch.tensor(sequence["labels"])
    return ids, mask, labels


def logits_and_loss(model, job):
    """Logits of the supervised positions in their order, and the loss: weighted, normalised by the weights' sum."""
    ids, mask, labels = padded(job)
    logits = model(input_ids=ids, attention_mask=mask).logits
    weight = torch.tensor(job["class_weights"], dtype=logits.dtype)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), weight=weight, ignore_index=-100)
    return logits[labels != -100], loss


def compare_training(parity, folder, job, model):
    model.save_pretrained(folder)
    ours(parity, "train", folder, folder / "job.json", folder)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=job["learning_rate"],
        betas=tuple(job["betas"]),
        eps=job["epsilon"],
        weight_decay=job["weight_decay"],
    )
    losses = []
    for step in range(job["steps"]):
        optimizer.zero_grad()
        logits, loss = logits_and_loss(model, job)
        loss.backward()
        if step == 0:
            found = load_file(folder / "logits.safetensors")["logits"]
            within("logits, largest difference", (found - logits).abs().max().item())
            compare_gradients(load_file(folder / "gradients.safetensors"), model)
        optimizer.step()
        losses.append(loss.item())
    found = json.loads((folder / "losses.json").read_text())
    assert len(found) == len(losses) == 20 and losses[-1] < losses[0]
    within("losses of 20 AdamW steps", max(abs(a - b) for a, b in zip(found, losses, strict=True)))
    trained, state = load_file(folder / "trained.safetensors"), model.state_dict()
    assert trained.keys() == state.keys()
    within("parameters after them", max((trained[name] - state[name]).abs().max().item() for name in state), 1e-3)


def compare_gradients(found, model):
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    relative = {name: ((found[name] - g).norm() / g.norm()).item() for name, g in expected.items()}
    worst = max(relative, key=relative.get)
    within(f"{len(relative)} gradients, relative, worst {worst}", relative[worst])


def compare_checkpoints(parity, folder, job, model):
    """Theirs in one file and in shards loads in ours, and what ours writes then loads in theirs."""
    model = model.eval()
    with torch.no_grad():
        expected, _ = logits_and_loss(model, job)
    for name, size in (("one file", "1GB"), ("shards", "40KB")):
        theirs, out = folder / name, folder / f"{name} out"
        out.mkdir()
        model.save_pretrained(theirs, max_shard_size=size)
        (theirs / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
        files = list(theirs.glob("*.safetensors"))
        assert (len(files) > 2) == (name == "shards"), files
        ours(parity, "load", theirs, folder / "job.json", out)
        found = load_file(out / "logits.safetensors")["logits"]
        within(f"logits of their checkpoint in {name} here", (found - expected).abs().max().item())
        again, report = AutoModelForTokenClassification.from_pretrained(out / "checkpoint", output_loading_info=True)
        assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
        with torch.no_grad():
            theirs, _ = logits_and_loss(again.eval(), job)
        assert torch.equal(theirs, expected), "logits of our checkpoint differ in transformers"
        assert again.config.layer_types == model.config.layer_types
    print("  our checkpoint in transformers: equal logits")


def code_samples():
    """Functions of the sample data, cut at blank lines, and texts that tokenizers like to change."""
    prompt = "Review this code for security vulnerabilities, one step at a time."
    samples = []
    for path in sorted(SAMPLES.rglob("*.jsonl")):
        for line in path.read_bytes().split(b"\n"):
            try:
                record = json.loads(line)
                versions = [record["func_src_before"], record["func_src_after"]]
            except (ValueError, KeyError, TypeError):
                continue  # some records are broken on purpose
            for label, version in enumerate(versions):
                steps = str(version).split("\n\n")
                labels = [int(label or index % 3 > 0) for index in range(len(steps))]
                samples.append({"prompt": prompt, "completions": steps, "labels": labels})
    odd = ["", " ", "\n", "\t\tif (x)\r\n", "naïve 名前 🦀", "a  b   c\n\n\n", "<s></s><|endoftext|>", "\u200b\u00a0end "]
    samples.append({"prompt": prompt, "completions": odd, "labels": [1, 0] * 4})
    samples.append({"prompt": "", "completions": ["x = 1"], "labels": [0]})
    return samples


def compare_encoding(parity, folder, separator):
    from trl.experimental.prm import PRMTrainer

    samples = code_samples()
    (folder / "samples.json").write_text(json.dumps(dict(separator=separator, vocab_size=900, samples=samples)))
    ours(parity, "encode", folder / "samples.json", folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    tokenizer = AutoTokenizer.from_pretrained(folder)
    settings = dict(step_separator=separator, max_length=None, max_completion_length=None, max_prompt_length=None)
    settings |= dict(train_on_last_step_only=False, is_eval=False)
    known = inspect.signature(PRMTrainer.tokenize_row).parameters
    settings = {name: value for name, value in settings.items() if name in known}
    encoded = json.loads((folder / "encoded.json").read_text())
    for sample, found in zip(samples, encoded, strict=True):
        expected = PRMTrainer.tokenize_row(sample, tokenizer, **settings)
        assert found["input_ids"] == expected["input_ids"], sample
        assert found["labels"] == expected["labels"], sample
    tokens = sum(len(found["input_ids"]) for found in encoded)
    print(f"  separator {separator!r}: {len(samples)} samples, {tokens} ids and labels are equal")


def main():
    [parity] = sys.argv[1:]
    torch.manual_seed(7)
    draw = random.Random(7)
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        print("encoding, against TRL")
        for index, separator in enumerate(("\n\n", "\n", " <step> ")):
            folder = root / f"encoding-{index}"
            folder.mkdir()
            compare_encoding(parity, folder, separator)
        for name, changes in VARIANTS.items():
            print(name)
            folder = root / name.replace(" ", "-")
            folder.mkdir()
            job = random_job(draw)
            (folder / "job.json").write_text(json.dumps(job))
            small = dict(separator="\n\n", vocab_size=SHAPE["vocab_size"], samples=code_samples()[:5])
            (folder / "samples.json").write_text(json.dumps(small))
            ours(parity, "encode", folder / "samples.json", folder)
            model = random_model(**changes)
            compare_training(parity, folder, job, model)
            compare_checkpoints(parity, folder, job, model)
    print("everything agrees")


if __name__ == "__main__":
    main()
