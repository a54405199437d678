"""What one would write without regraft: torch and scikit-learn, no Ray, no export.

Run as its own process: `python -m benchmarks.plain_script probe|full TRAIN TEST SEED`. Prints one
JSON document with the seconds of the work itself, imports and loading apart.
"""

import csv
import json
import sys
import time
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoModel, AutoTokenizer, get_linear_schedule_with_warmup

from regraft_transformers.catalogue import CATALOGUE

FOLDER = CATALOGUE["minilm-l6"].installed()


def read(path: str) -> tuple[list[str], np.ndarray]:
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], np.array([row["label"] == "positive" for row in rows])


class Encoder(torch.nn.Module):
    """MiniLM as its card says: the mean of the last layer over the real tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(FOLDER)
        self.model = AutoModel.from_pretrained(FOLDER)

    def forward(self, texts: list[str]) -> torch.Tensor:
        batch = self.tokenizer(
            texts, padding=True, truncation=True, max_length=256, return_tensors="pt"
        )
        hidden = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        return (hidden * mask).sum(1) / mask.sum(1)


@torch.no_grad()
def embed(encoder: Encoder, texts: list[str]) -> np.ndarray:
    """Features in batches of 32, the longest texts first, as sentence-transformers does."""
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    parts = [encoder([texts[i] for i in order[k : k + 32]]) for k in range(0, len(order), 32)]
    features = np.empty((len(texts), 384), np.float32)
    features[order] = torch.cat(parts).numpy()
    return features


def probe(train: Any, test: Any, seed: int) -> tuple[float, float]:
    encoder = Encoder().eval()
    begin = time.perf_counter()
    features, held_out = embed(encoder, train[0]), embed(encoder, test[0])
    regression = LogisticRegressionCV(Cs=np.logspace(-3, 0, 7), cv=3, max_iter=1000)
    model = make_pipeline(StandardScaler(), regression).fit(features, train[1])
    seconds = time.perf_counter() - begin
    return float((model.predict(held_out) == test[1]).mean()), seconds


def full(train: Any, test: Any, seed: int) -> tuple[float, float]:
    """Four epochs of AdamW at 5e-5 (head 20 times that), batch 32, linear warm-up and decay."""
    torch.manual_seed(seed)
    encoder, head = Encoder().train(), torch.nn.Linear(384, 2)
    groups = [
        {"params": encoder.parameters(), "lr": 5e-5},
        {"params": head.parameters(), "lr": 1e-3},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    texts, labels = train[0], torch.tensor(train[1].astype(int))
    steps = 4 * ((len(texts) + 31) // 32)
    schedule = get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    begin = time.perf_counter()
    for _ in range(4):
        order = torch.randperm(len(texts)).tolist()
        for start in range(0, len(order), 32):
            chosen = order[start : start + 32]
            logits = head(encoder([texts[i] for i in chosen]))
            loss = torch.nn.functional.cross_entropy(logits, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*encoder.parameters(), *head.parameters()], 1.0)
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - begin
    encoder.eval()
    with torch.no_grad():
        predicted = head(torch.from_numpy(embed(encoder, test[0]))).argmax(1).numpy()
    return float((predicted == test[1]).mean()), seconds


def main() -> None:
    kind, train, test, seed = sys.argv[1:]
    work = {"probe": probe, "full": full}[kind]
    accuracy, seconds = work(read(train), read(test), int(seed))
    print(json.dumps({"accuracy": accuracy, "seconds": seconds}))


if __name__ == "__main__":
    main()
