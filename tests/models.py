"""Small models that judge, made of a few sentences; each is made once and then found."""

from pathlib import Path

import fasttext
import pyarrow as pa
import pyarrow.parquet as pq

from stages.perplexity import MODELS, TrainPerplexity
from tests.documents import ENGLISH, PORTUGUESE, documents


def classifier(path: Path) -> Path:
    """A fastText model that tells Portuguese (`pt`) from English (`en`)."""
    if not path.exists():
        lines = path.with_suffix(".txt")
        lines.write_text(f"__label__en {ENGLISH}\n__label__pt {PORTUGUESE}\n" * 20)
        fasttext.train_supervised(
            str(lines), dim=8, bucket=1000, wordNgrams=2, minCount=1, epoch=20, lr=0.5,
            thread=1, verbose=0,
        ).save_model(str(path))  # fmt: skip
    return path


def language_models(path: Path) -> Path:
    """A zip of n-gram models of English and Portuguese."""
    if not path.exists():
        shard = path.with_suffix(".shard")
        shard.mkdir(parents=True)
        parts = [ENGLISH.split(), PORTUGUESE.split()]
        texts = [" ".join(words[at:]) for words in parts for at in range(20)]
        languages = pa.array(["en"] * 20 + ["pt"] * 20)
        batch = documents(*texts).append_column("language", languages)
        pq.write_table(pa.Table.from_batches([batch]), shard / "documents.parquet")
        step = TrainPerplexity(order=3, minimum=0)
        step.run({"texts": [shard]}, shard, shard)
        (shard / MODELS).rename(path)
    return path


def transformer(folder: Path, labels: int = 1) -> Path:
    """A BERT of two thin layers with weights drawn by lot, as transformers saves it."""
    if not folder.exists():
        import torch
        from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
        from transformers import BertConfig, BertForSequenceClassification

        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        trainer = trainers.WordPieceTrainer(
            vocab_size=200, special_tokens=names, show_progress=False
        )
        tokenizer.train_from_iterator([ENGLISH, PORTUGUESE], trainer)
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=200, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, num_labels=labels, initializer_range=0.5,
        )  # fmt: skip
        BertForSequenceClassification(config).save_pretrained(folder)
        tokenizer.save(str(folder / "tokenizer.json"))
    return folder
