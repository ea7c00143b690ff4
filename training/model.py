"""Model folders: new by a preset, loaded, saved; all of them in the form of transformers."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from training import checkpoint

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a model is a folder; nothing is ever downloaded

# hidden size, layers, heads, key-value heads, intermediate size
PRESETS = {
    "xs": (64, 2, 2, 2, 192),
    "s": (256, 4, 4, 4, 704),
    "m": (576, 30, 9, 3, 1536),
    "l": (960, 32, 15, 5, 2560),
    "xl": (2048, 24, 32, 32, 8192),
}
WEIGHTS = ("model*.safetensors*", "pytorch_model*", "*.gguf", "optimizer*")


def create(preset: str, about: dict[str, str], length: int, seed: int, folder: Path) -> None:
    """Write a Llama with random weights, for ids of the shards' vocabulary."""
    from transformers import LlamaConfig, LlamaForCausalLM

    _quiet()
    hidden, layers, heads, key_value_heads, intermediate = PRESETS[preset]
    config = LlamaConfig(
        vocab_size=-(-int(about["vocabulary"]) // 64) * 64,  # matrices of such a size are faster
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        intermediate_size=intermediate,
        max_position_embeddings=length,
        initializer_range=hidden**-0.5,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        bos_token_id=int(about["end"]),
        eos_token_id=int(about["end"]),
    )
    torch.manual_seed(seed)
    LlamaForCausalLM(config).save_pretrained(folder)


def add_tokenizer(path: str, end: int, length: int, folder: Path) -> None:
    """Put a tokenizer.json into a model's folder, so that transformers finds it."""
    shutil.copyfile(path, folder / "tokenizer.json")
    from tokenizers import Tokenizer

    token = Tokenizer.from_file(path).id_to_token(end)
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": token,
        "pad_token": token,
        "model_max_length": length,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2))


def load(folder: str | Path) -> Any:
    """The causal language model in a folder, in float32."""
    from transformers import AutoModelForCausalLM

    _quiet()
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    model.config.use_cache = False  # a cache switches off the masks between documents
    return model


def _quiet() -> None:
    """No progress bars: what is read in 0.2 s needs none, and they fill the logs of workers."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def save(work: Path, folder: Path) -> None:
    """The model of the last checkpoint, with all that lies beside the weights it began with."""
    model = load(work / "base")
    state = checkpoint.load(work)
    assert state
    model.load_state_dict(state["model"])
    shutil.copytree(work / "base", folder, ignore=shutil.ignore_patterns(*WEIGHTS))
    model.config.use_cache = True
    model.save_pretrained(folder)


def parameters(folder: Path) -> int:
    """Numbers that are trained, shared ones once."""
    return sum(weights.numel() for weights in load(folder).parameters())
