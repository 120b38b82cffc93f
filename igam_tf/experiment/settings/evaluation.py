"""How rows are evaluated: attacks, images, gradient statistics, common corruptions."""

import dataclasses

from igam_tf.evaluation.corruptions.names import SEVERITIES, Corruptions
from igam_tf.evaluation.statistic_names import STATISTICS
from igam_tf.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings(Settings):
    """How finished rows are evaluated; a run may be evaluated anew with others."""

    attacks: tuple = setting(
        ("clean", "fgsm", "pgd5", "pgd10", "pgd20"),
        "Columns of the table: clean, fgsm, pgdK, cwK (pgdKxR: R restarts), pgdK-t "
        "(towards every class), apgd-ce, apgd-dlr, apgd-t, fab, fab-t, square, squareN "
        "(N queries), spsa, fmn, fmn-t, ddn, autoattack, autoattack-plus, "
        "autoattack-rand; any of these with a radius of its own, @EPS or @NORM:EPS: "
        "pgd20@4/255, autoattack@l2:0.5.",
        resumable=True,
        affects_results=True,
    )
    num_examples: int = setting(
        0,
        "Test images; 0 for all.",
        flag="eval_examples",
        resumable=True,
        affects_results=True,
        at_least=0,
    )
    batch_size: int = setting(
        100,
        "Batch of the evaluation.",
        flag="eval_batch_size",
        resumable=True,
        affects_results=True,
        at_least=1,
    )
    panel_examples: int = setting(
        100,
        "Images that the gradient-masking panel looks at; 0 for none.",
        resumable=True,
        affects_results=True,
        at_least=0,
    )
    statistics: tuple = setting(
        (),
        "What is told of each row's input gradients, separated by commas: "
        f"{', '.join(STATISTICS)}; robust are images that withstand the first attack "
        "of --attacks.",
        resumable=True,
        affects_results=True,
        may_be_empty=True,
    )
    batch_norm: str = setting(
        "inference",
        "Batch norm in the evaluation; batch reproduces the authors'.",
        resumable=True,
        affects_results=True,
        choices=("inference", "batch"),
    )
    corruptions: tuple = setting(
        (),
        "Common corruptions as one more column: all, names (gaussian_noise, fog ...; "
        "made of the test images), or the folder of CIFAR-10-C or CIFAR-100-C.",
        resumable=True,
        affects_results=True,
        may_be_empty=True,
    )
    severities: tuple = setting(
        ("1", "2", "3", "4", "5"),
        "Severities of --corruptions.",
        resumable=True,
        affects_results=True,
    )

    def asked_corruptions(self) -> Corruptions | None:
        """The corruptions that are asked for, or None.

        Raises:
            ValueError, FileNotFoundError: naming the flag.
        """
        if not self.corruptions:
            return None
        known = {str(number): number for number in SEVERITIES}
        if not set(map(str, self.severities)) <= set(known):
            raise ValueError(
                f"--severities={','.join(map(str, self.severities))}: expected numbers "
                "from 1 to 5, separated by commas."
            )
        severities = [known[str(text)] for text in self.severities]
        try:
            return Corruptions.parse(self.corruptions, severities)
        except (ValueError, FileNotFoundError) as error:
            raise type(error)(f"--corruptions: {error}") from None
