"""Times our model beside PyTorch's: the same weights, batch, threads and precision, in turns within one run.

    cargo build --release -p secprm-model --example step_time
    python3 model/benches/pytorch.py target/release/examples/step_time

Each side is a process of its own that waits while the other computes. Prints medians and the peak memory (VmHWM) of each,
less what the process held before its first pass. Environment: SECPRM_ROUNDS (15), SECPRM_SEQUENCES (2),
SECPRM_TOKENS (1024, of each sequence), SECPRM_THREADS (2).
"""

import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

SETTINGS = {"ROUNDS": 15, "SEQUENCES": 2, "TOKENS": 1024, "THREADS": 2}
ROUNDS, SEQUENCES, TOKENS, THREADS = (int(os.environ.get(f"SECPRM_{k}", v)) for k, v in SETTINGS.items())
PASSES = ("forward", "gradients", "step")
TOKENS_PER_STEP = 16


def memory(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024


def peer(directory, job_file):
    """PyTorch's side: answers each line of standard input as `step_time` does."""
    import torch
    from transformers import Qwen2ForTokenClassification

    torch.set_num_threads(THREADS)
    model = Qwen2ForTokenClassification.from_pretrained(directory, attn_implementation="sdpa").train()
    job = json.loads(pathlib.Path(job_file).read_text())
    ids = torch.tensor([sequence["input_ids"] for sequence in job["sequences"]])
    labels = torch.full_like(ids, -100)
    for row, sequence in enumerate(job["sequences"]):
        labels[row, sequence["positions"]] = torch.tensor(sequence["labels"])
    weight = torch.tensor(job["class_weights"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=job["learning_rate"], betas=tuple(job["betas"]))

    def loss():
        logits = model(input_ids=ids, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), weight=weight)

    def run(kind):
        if kind == "forward":
            with torch.no_grad():
                return loss()
        optimizer.zero_grad()
        value = loss()
        value.backward()
        if kind == "step":
            optimizer.step()
        return value

    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(json.dumps({"parameters": parameters, "base_mib": memory("VmRSS"), "version": torch.__version__}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        value = run(line.strip()).item()
        milliseconds = (time.perf_counter() - start) * 1e3
        print(json.dumps({"milliseconds": milliseconds, "loss": value, "peak_mib": memory("VmHWM")}), flush=True)


def write_inputs(folder):
    import torch
    from transformers import Qwen2Config, Qwen2ForTokenClassification

    torch.manual_seed(1)
    shape = dict(vocab_size=8192, hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=8)
    config = Qwen2Config(**shape, num_key_value_heads=2, num_labels=2, classifier_dropout=0.0)
    Qwen2ForTokenClassification(config).save_pretrained(folder)
    draw = random.Random(1)
    sequences = []
    for _ in range(SEQUENCES):
        positions = list(range(TOKENS_PER_STEP - 1, TOKENS, TOKENS_PER_STEP))
        ids, labels = [draw.randrange(8192) for _ in range(TOKENS)], [draw.randrange(2) for _ in positions]
        sequences.append({"input_ids": ids, "positions": positions, "labels": labels})
    numbers = dict(learning_rate=1e-4, betas=[0.9, 0.95], epsilon=1e-8, weight_decay=0.01)
    job = dict(sequences=sequences, class_weights=[1.5, 0.75], **numbers)
    (folder / "job.json").write_text(json.dumps(job))


class Side:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = json.loads(self.process.stdout.readline())

    def ask(self, kind):
        self.process.stdin.write(kind + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def main(step_time):
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        write_inputs(folder)
        arguments = [directory, str(folder / "job.json")]
        os.environ["RAYON_NUM_THREADS"] = str(THREADS)
        sides = {
            "torch": Side([sys.executable, __file__, "--peer", *arguments]),
            "ours": Side([step_time, *arguments]),
        }
        print({name: side.about for name, side in sides.items()})
        print(f"{SEQUENCES} x {TOKENS} tokens, {THREADS} threads, {ROUNDS} rounds; milliseconds: median (least)")
        for kind in PASSES:
            answers = {name: [] for name in sides}
            for round in range(ROUNDS + 2):
                for name, side in sides.items():
                    answers[name].append(side.ask(kind))
                    time.sleep(0.02)
                first = [answers[name][0]["loss"] for name in sides]
                assert abs(first[0] - first[1]) < 1e-3, first
            times = {name: [a["milliseconds"] for a in answers[name][2:]] for name in sides}
            medians = {name: statistics.median(values) for name, values in times.items()}
            memories = {name: answers[name][-1]["peak_mib"] - sides[name].about["base_mib"] for name in sides}
            shown = [f"{name} {medians[name]:.0f} ({min(times[name]):.0f}), {memories[name]:.0f} MiB" for name in sides]
            print(f"{kind}: {'; '.join(shown)}; ours / torch {medians['ours'] / medians['torch']:.2f}")


if __name__ == "__main__":
    if sys.argv[1] == "--peer":
        peer(*sys.argv[2:])
    else:
        main(sys.argv[1])
