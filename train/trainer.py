"""TRL's GRPOTrainer without the work it does several times, and with a resume that resumes.

    trainer = Trainer("assets/mini/reasoner", [...], GRPOConfig(...), train_dataset=rows)
    trainer.train(resume_from_checkpoint=resume_point(trainer, Path("runs/grpo")))  # train/checkpoints.py

Rows are those of train.data. What is computed is what GRPOTrainer computes (tests/train/test_trainer.py
compares loss, KL and gradients); what differs is how often:

    GRPOTrainer                                               here
    a picture is decoded and prepared 2 G times or more       once
    the vision tower sees it G times in each pass             once in each pass
    the prompt is read G times in each pass                   once in each pass (generation.py, packing.py)
    pictures are pickled, sent to every process, and kept     GRPOTrainer's own code never holds one

One thing is not the same: GRPOTrainer deals the answers of a group out over the micro-batches of a step; here
they stay together, so that a micro-batch of G rows is one group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import GenerationConfig
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation
from trl.trainer.utils import RepeatSampler, split_tensor_dict

from train.checkpoints import STATE, best_of, prune
from train.generation import generate
from train.packing import pack
from train.prompts import Prompt, PromptReader
from train.published_loss import published_advantages, published_loss, token_shares
from train.rewards import Reward
from train.sampler import EpochSampler

PACKABLE = ("sdpa", "eager")
"""Kinds of attention that take the mask of packed answers."""
_GREEDY = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "min_p": None}


@dataclass(frozen=True)
class Rollout:
    """An answer to a row, as written, and what each reward function paid for it (nan: not applicable)."""

    row: Mapping[str, Any]
    text: str
    rewards: Mapping[str, float]


class Trainer(GRPOTrainer):
    """GRPOTrainer for prompts of one picture and one question, on Qwen2.5-VL.

    extras: text files by name, written into every checkpoint.
    judge: pays an answer the IoU of its masks, as mask_reward(segmenter) does; an evaluation is the mean of
        that over greedy answers to the eval_dataset, their gIoU.
    loss_answers: 0 for GRPOConfig's loss_type; else the published loss, its token means over so many answers.
    show: called with the step and this process's rollouts after each generation.
    The other arguments are GRPOTrainer's. Raises ValueError for models and attention that the shortcuts do
    not know.
    """

    def __init__(
        self,
        *args: Any,
        extras: Mapping[str, str] | None = None,
        judge: Reward | None = None,
        loss_answers: int = 0,
        show: Callable[[int, Sequence[Rollout]], None] | None = None,
        **kwargs: Any,
    ) -> None:
        self._extras, self._judge, self._show = dict(extras or {}), judge, show
        self._loss_answers = loss_answers
        super().__init__(*args, **kwargs)
        attention = self.model.config.get_text_config()._attn_implementation
        if attention not in PACKABLE:
            raise ValueError(f"attn_implementation is one of {', '.join(PACKABLE)}, not {attention}")
        self._read = PromptReader(self.processing_class, self.bare_model, self.accelerator.device)
        self._rows: Sequence[Mapping] = ()  # of the batch that is being generated and scored
        self._prompts: Sequence[Prompt] = ()  # of the rows that go through the model next
        self._paid = torch.zeros(0)  # (rows of all processes,) the whole reward of each answer
        self._tokens: tuple = ()  # log-probabilities and entropies of the last pass, (B, C) each

    @property
    def bare_model(self):
        """The model inside whatever wraps it: the accelerator, an adapter."""
        model = self.accelerator.unwrap_model(self.model)
        return model.get_base_model() if isinstance(model, PeftModel) else model

    def _send_telemetry(self) -> None:
        """Nothing: training is nobody else's business, whatever was imported in which order."""

    # ------------------------------------------------------- pictures: read once, and kept from GRPOTrainer

    def _generate_and_score_completions(self, inputs: Sequence[Mapping]) -> dict[str, Any]:
        """inputs: rows, each as often as it has answers. The batch brings along the Prompt of each."""
        prompts = self._read(inputs)
        self._rows, self._prompts = inputs, prompts
        unseen = [{name: value for name, value in row.items() if name != "image"} for row in inputs]
        batch = {**super()._generate_and_score_completions(unseen), "prompts": prompts}
        if self._loss_answers:
            every = published_advantages(self._paid, self.num_generations)
            batch["advantages"] = every[self.accelerator.process_index * len(inputs) :][: len(inputs)]
        return batch

    def _tokenize_prompts(self, prompts: list) -> tuple[list[list[int]], None, dict]:
        return [prompt.ids.tolist() for prompt in self._prompts], None, {}

    def _calculate_rewards(self, inputs: list, prompts: list, completions: list, ids: list) -> Tensor:
        """As GRPOTrainer's, (rows of all processes, functions), but that the functions get the pictures."""
        rewards = super()._calculate_rewards(self._rows, prompts, completions, ids)
        self._paid = (rewards * self.reward_weights.to(rewards.device)).nansum(1)
        if self._show is not None:
            own = rewards[self.accelerator.process_index * len(prompts) :][: len(prompts)].tolist()
            self._show(
                self.state.global_step,
                [
                    Rollout(
                        row, completion[0]["content"], dict(zip(self.reward_func_names, paid, strict=True))
                    )
                    for row, completion, paid in zip(self._rows, completions, own, strict=True)
                ],
            )
        return rewards

    # --------------------------------------------------------- prompts: once through the model in each pass

    def _generate_single_turn(
        self, prompt_ids: list, images: None, multimodal_fields: dict, num_generations: int
    ) -> tuple[list[list[int]], list | None]:
        if not self.use_vllm:
            return self._answer(self._prompts, self.generation_config), None
        # A server takes the first picture of each group; the others need not travel to the main process.
        first = self.accelerator.process_index * len(prompt_ids)
        every = 1 if self.vllm_mode == "colocate" else num_generations
        frames = [
            [prompt.frame] if (first + index) % every == 0 else None
            for index, prompt in enumerate(self._prompts)
        ]
        return super()._generate_single_turn(prompt_ids, frames, {}, num_generations)

    def _answer(self, prompts: Sequence[Prompt], config: GenerationConfig) -> list[list[int]]:
        with (
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                gather_deepspeed3_params=self.args.ds3_gather_for_generation,
                gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
            ) as model,
            self._dist.summon_full_params(self.model_wrapped, recurse=False),
        ):
            return generate(model, prompts, config)

    def _compute_loss(self, model, inputs: dict[str, Any]) -> Tensor:
        self._prompts = inputs["prompts"]
        loss = super()._compute_loss(model, inputs)  # and the metrics
        if not self._loss_answers:
            return loss
        log_probs, entropies = self._tokens
        loss = published_loss(
            log_probs,
            inputs.get("old_per_token_logps", log_probs.detach()),
            inputs.get("ref_per_token_logps"),
            entropies,
            inputs["advantages"],
            inputs["completion_mask"],
            inputs["token_shares"],
            clip=(self.epsilon_low, self.epsilon_high),
            beta=self.beta,
            entropy_coef=self.entropy_coef,
        )
        return loss / self.current_gradient_accumulation_steps

    def _get_per_token_logps_and_entropies(
        self,
        model,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **unused: Any,
    ) -> tuple[Tensor, Tensor | None, None]:
        """input_ids, attention_mask: (B, P + C), of the rows in self._prompts. Returns (B, C) twice."""
        ids, mask = input_ids[:, -logits_to_keep:], attention_mask[:, -logits_to_keep:]
        log_probs, entropies = [], []
        for start in range(0, len(ids), batch_size or len(ids)):
            some = slice(start, start + (batch_size or len(ids)))
            packed = pack(self._prompts[some], ids[some], mask[some], self._tokenizer.pad_token_id)
            with self.accelerator.autocast():
                outputs = model(**packed.inputs, fused_lm_head=True)
            log_probs.append(packed.unpack(outputs.log_probs))
            if compute_entropy:
                entropies.append(packed.unpack(outputs.entropy))
        self._tokens = torch.cat(log_probs), torch.cat(entropies) if compute_entropy else None
        return *self._tokens, None

    # ----------------------------------------------------------------------------------- groups stay together

    def _prepare_inputs(self, generation_batch: Sequence[Mapping]) -> dict[str, Any]:
        """As GRPOTrainer's, but for its shuffle."""
        if not self.model.training:
            return self._generate_and_score_completions(generation_batch)
        every = self.args.steps_per_generation * self.num_iterations
        if self._step % every == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            if self._loss_answers:
                batch["token_shares"] = token_shares(batch["completion_mask"], self._loss_answers)
            torch.randperm(len(generation_batch))  # GRPOTrainer's draw: later answers stay the same as its
            self._buffered_inputs = split_tensor_dict(batch, self.args.steps_per_generation)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    # --------------------------------------------------------------------------------------------- evaluation

    def evaluate(
        self, eval_dataset=None, ignore_keys=None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The gIoU of the held-out rows, each answered greedily, as the app answers."""
        rows = list(self.eval_dataset if eval_dataset is None else eval_dataset)
        self.model.eval()
        penalty = self.bare_model.generation_config.repetition_penalty  # the app keeps to it as well
        greedy = {**_GREEDY, "repetition_penalty": penalty or 1.0, "disable_compile": True}
        config = GenerationConfig(**{**self.generation_kwargs, **greedy})
        size, world = self.args.per_device_eval_batch_size, self.accelerator.num_processes
        total = torch.zeros(2, device=self.accelerator.device)
        for start in range(0, len(rows), size * world):
            own = rows[start + self.accelerator.process_index * size :][:size]
            paid = self._judged(own or rows[:1], config)  # all take part: a sharded model needs all
            total += torch.tensor([sum(paid), len(paid)] if own else [0, 0], device=total.device)
        paid, count = self.accelerator.reduce(total).tolist()
        metrics = {f"{metric_key_prefix}_gIoU": paid / count}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _judged(self, rows: Sequence[Mapping], config: GenerationConfig) -> list[float]:
        texts = self._tokenizer.batch_decode(self._answer(self._read(rows), config), skip_special_tokens=True)
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return self._judge(
            completions=[[{"role": "assistant", "content": text}] for text in texts], **columns
        )

    # ---------------------------------------------------------------------------------------- exact resuming

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        """Load a checkpoint's weights by the names they were saved under.

        Trainer looks for them by the names they have in the model, which are others, finds none, and goes on
        with the weights it started from. Sharded models and adapters it loads as it should.
        """
        if self._is_plain():
            kind, own = type(self.model), self.model.config
            saved = kind.from_pretrained(resume_from_checkpoint, config=own, dtype=self.model.dtype)
            self.model.load_state_dict(saved.state_dict())
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _save_checkpoint(self, model, trial) -> None:
        """Saves; deletes what save_total_limit has no room for, but only what this trainer has numbered."""
        folder, limit = Path(self.args.output_dir), self.args.save_total_limit
        newest = folder / f"checkpoint-{self.state.global_step}"
        if self.args.should_save:  # the state says that all else is there: that of an earlier try would lie
            (newest / STATE).unlink(missing_ok=True)
        self.args.save_total_limit = None
        super()._save_checkpoint(model, trial)
        self.args.save_total_limit = limit
        if self.args.should_save:
            best = self.state.best_model_checkpoint
            prune(folder, limit, {newest, *([Path(best)] if best else [])})

    def _load_best_model(self) -> None:
        best = best_of(self.state, Path(self.args.output_dir))
        if self._is_plain():
            self._load_from_checkpoint(str(best))
        else:
            self.state.best_model_checkpoint = str(best)
            super()._load_best_model()

    def _is_plain(self) -> bool:
        sharded = self.is_deepspeed_enabled or self.is_fsdp_enabled
        return not sharded and not isinstance(self.model, PeftModel)

    def _get_train_sampler(self, dataset=None) -> RepeatSampler:
        self._order = EpochSampler.like(super()._get_train_sampler(dataset))
        return self._order

    def _init_training_state(self, *args: Any, **kwargs: Any) -> tuple[int, int]:
        epochs_trained, steps_trained = super()._init_training_state(*args, **kwargs)
        self._order.epoch = epochs_trained
        return epochs_trained, steps_trained

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        super()._save(output_dir, state_dict)
        for name, text in self._extras.items() if self.args.should_save else ():
            Path(output_dir or self.args.output_dir, name).write_text(text, encoding="utf-8")
