"""Preference pairs: the right verdict chosen, reasons kept, and TRL trains on them as they are."""

import json

import pytest
from datasets import load_dataset
from fixtures.drawn import png, texture
from fixtures.scenes import write_scenes
from fixtures.vlm import tiny_vlm_folder
from PIL import Image

from aligngemini.datasets.candidates import find_candidates
from aligngemini.datasets.journal import Journal
from aligngemini.datasets.manifest import read_manifest
from aligngemini.datasets.preferences import (
    PATIENCE,
    WriterError,
    save_preferences,
    write_rationales,
)
from aligngemini.datasets.semantic_set import SemanticSetConfig, build_semantic_set
from aligngemini.images.decode import decode
from aligngemini.prompts import Prompt

PROMPT = Prompt("Can this be?", "It cannot be.", "It can be.")


@pytest.fixture
def out(tmp_path):
    folder = write_scenes(tmp_path / "in", 4)
    given = [
        found
        for label in ("real", "fake")
        for found in find_candidates([str(folder / label)], label)
    ]
    config = SemanticSetConfig(max_side=64, val_share=0.5, seed=1)
    build_semantic_set(given, tmp_path / "set", config)
    return tmp_path / "set"


@pytest.fixture
def rows(out):
    return read_manifest(out / "manifest.parquet")


@pytest.fixture
def load(tmp_path):
    def load(out):
        """What `datasets` makes of the folder, without its cache in the home folder."""
        return load_dataset(str(out / "preferences"), cache_dir=str(tmp_path / "cache"))

    return load


class Author:
    """Writes what it is asked for, and remembers that it was."""

    def __init__(self, text="{label}, for its size is {size}. Also", fails=()):
        self.text, self.fails, self.asked = text, fails, []

    def explain(self, image, label):
        self.asked.append(label)
        if len(self.asked) in self.fails:
            raise ConnectionError("the line is cut")
        return self.text.format(label=label, size=image.shape)


def answers(record):
    return [record[side][0]["content"] for side in ("chosen", "rejected")]


def test_the_right_verdict_is_chosen_and_the_wrong_one_rejected(out, rows, load):
    counts = save_preferences(rows, out, PROMPT)
    found = load(out)
    assert counts == {"train": found["train"].num_rows, "val": found["validation"].num_rows}
    assert sum(counts.values()) == 8
    records = [record for split in found.values() for record in split]
    for record in records:
        verdicts = [PROMPT.verdict(record["label"]), *{PROMPT.fake, PROMPT.real}]
        assert answers(record)[0] == verdicts[0]
        assert set(answers(record)) == {PROMPT.fake, PROMPT.real}
        assert record["prompt"] == [{"role": "user", "content": PROMPT.question}]
        assert record["path"].startswith(f"images/{record['label']}/")
        (image,) = record["images"]
        assert image.tobytes() == Image.open(out / record["path"]).tobytes()
    assert {record["path"] for record in records} == {
        f"images/{row.label}/{row.path.rsplit('/', 1)[1]}" for row in rows
    }
    assert json.loads((out / "prompt.json").read_text()) == {
        "question": PROMPT.question,
        "fake": PROMPT.fake,
        "real": PROMPT.real,
    }
    assert {path.name for path in (out / "preferences").iterdir()} == {
        "train.parquet",
        "validation.parquet",
    }


def test_the_folder_can_be_moved_away_from_its_images(out, rows, load, tmp_path):
    save_preferences(rows, out, PROMPT)
    (out / "preferences").rename(tmp_path / "preferences")
    for path in out.glob("images/*/*"):
        path.write_bytes(png(texture(40, 40)))
    record = load(tmp_path)["train"][0]
    assert max(record["images"][0].size) == 64


def test_reasons_follow_the_verdict_that_they_are_for(out, rows, load):
    rationales, failed = write_rationales(rows, Author(), out / "rationales.jsonl", PROMPT)
    assert (len(rationales), failed) == (16, {})
    save_preferences(rows, out, PROMPT, rationales)
    other = {"fake": "real", "real": "fake"}
    for record in load(out)["train"]:
        pixels = decode((out / record["path"]).read_bytes()).pixels
        for answer, label in zip(
            answers(record), (record["label"], other[record["label"]]), strict=True
        ):
            # The broken-off sentence is gone.
            assert answer == f"{PROMPT.verdict(label)} {label}, for its size is {pixels.shape}."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("It cannot be. A hand has six fingers.", "A hand has six fingers."),
        ('They say "no." And then', 'They say "no."'),
        ("Version 2.5 of a cat", "Version 2.5 of a cat"),
        ("  No end  ", "No end"),
    ],
)
def test_reasons_are_whole_sentences_without_the_verdict(out, rows, text, kept):
    fakes = [row for row in rows if row.label == "fake"][:1]
    found, _ = write_rationales(fakes, Author(text), out / "rationales.jsonl", PROMPT)
    assert found[fakes[0].path, "fake"] == kept


def test_what_is_written_is_not_written_again(out, rows):
    journal = out / "rationales.jsonl"
    with pytest.raises(KeyboardInterrupt):
        write_rationales(rows, Author(fails=(6,)), journal, PROMPT, progress=_stops_at(7))
    assert 0 < len(journal.read_text().splitlines()) < 16
    journal.write_bytes(journal.read_bytes()[:-20])  # killed while writing
    before = len(journal.read_text().splitlines()) - 1
    author = Author()
    found, failed = write_rationales(rows, author, journal, PROMPT)
    assert (len(found), failed) == (16, {})
    assert len(author.asked) == 16 - before


def test_an_image_without_reasons_has_no_pair_until_it_gets_them(out, rows, load):
    journal = out / "rationales.jsonl"
    rationales, failed = write_rationales(rows, Author(fails=(3, 9)), journal, PROMPT)
    assert set(failed.values()) == {"the line is cut"}
    assert len(failed) == 2
    assert sum(save_preferences(rows, out, PROMPT, rationales).values()) == 6
    rationales, failed = write_rationales(rows, Author(), journal, PROMPT)
    assert not failed
    assert sum(save_preferences(rows, out, PROMPT, rationales).values()) == 8
    assert sum(split.num_rows for split in load(out).values()) == 8


def test_a_model_that_says_nothing_is_a_failure(out, rows):
    _, failed = write_rationales(rows[:2], Author(" \n"), out / "rationales.jsonl", PROMPT)
    assert set(failed.values()) == {"the model wrote nothing"}


def test_a_writer_that_is_gone_ends_the_run_and_keeps_what_it_wrote(out, rows):
    author = Author(fails=range(5, 100))
    with pytest.raises(WriterError, match=rf"failed {PATIENCE} times .+ the line is cut"):
        write_rationales(rows, author, out / "rationales.jsonl", PROMPT)
    assert len((out / "rationales.jsonl").read_text().splitlines()) == 4


def test_threads_change_nothing(out, rows):
    one, _ = write_rationales(rows, Author(), out / "one.jsonl", PROMPT)
    many, _ = write_rationales(rows, Author(), out / "many.jsonl", PROMPT, threads=4)
    assert one == many
    assert (out / "one.jsonl").read_text() == (out / "many.jsonl").read_text()


def test_a_journal_of_other_images_is_no_reason(out, rows):
    with Journal(out / "rationales.jsonl") as journal:
        journal.append({"image": "images/fake/other.png", "label": "fake", "text": "x"})
    found, _ = write_rationales(rows, Author(), out / "rationales.jsonl", PROMPT)
    assert len(found) == 16


def test_trl_trains_a_true_model_on_it(out, rows, load, tmp_path):
    from peft import LoraConfig
    from trl import DPOConfig, DPOTrainer

    from aligngemini.models.qwen import load_model, load_processor

    rationales, _ = write_rationales(rows, Author(), out / "rationales.jsonl", PROMPT)
    save_preferences(rows, out, PROMPT, rationales)
    base = tiny_vlm_folder(tmp_path / "base")
    found = load(out)
    settings = DPOConfig(
        output_dir=str(tmp_path / "run"),
        per_device_train_batch_size=2,
        max_steps=1,
        max_length=None,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        activation_checkpointing=False,
        bf16=False,
    )
    trainer = DPOTrainer(
        model=load_model(base),
        args=settings,
        train_dataset=found["train"],
        eval_dataset=found["validation"],
        processing_class=load_processor(base),
        peft_config=LoraConfig(target_modules=r".*language_model.*\.(q|v)_proj"),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["pixel_values"].shape[0] == batch["image_grid_thw"].prod(-1).sum()
    tokens = trainer.processing_class.tokenizer
    completion = batch["input_ids"][0][batch["completion_mask"][0].bool()]
    assert tokens.decode(completion).startswith(("It cannot be. fake", "It can be. real"))
    # Nothing is learnt yet: both answers are as likely as under the reference.
    assert trainer.train().training_loss == pytest.approx(0.6931, abs=1e-3)


def _stops_at(number):
    from contextlib import contextmanager

    @contextmanager
    def progress(total, *, text):
        steps = iter(range(1, total + 1))

        def step():
            if next(steps) == number:
                raise KeyboardInterrupt

        yield step

    return progress
