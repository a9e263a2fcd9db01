"""In which order the rows come: each epoch's depends on its number alone, so a resumed run has the same.

sampler = EpochSampler.like(trainer_s_own); sampler.epoch = 3
"""

from __future__ import annotations

from trl.trainer.utils import RepeatSampler


class EpochSampler(RepeatSampler):
    """TRL's RepeatSampler, whose order in an epoch would else depend on how many came before it.

    epoch: the one that the next pass over it is.
    """

    epoch = 0

    @classmethod
    def like(cls, other: RepeatSampler) -> EpochSampler:
        """One with the same settings."""
        return cls(
            other.data_source,
            other.mini_repeat_count,
            batch_size=other.batch_size,
            repeat_count=other.repeat_count,
            shuffle=other.shuffle,
            seed=other.seed,
        )

    def __iter__(self):
        if self.shuffle:
            self.generator.manual_seed(self.seed + self.epoch)
        self.epoch += 1
        return super().__iter__()
