"""A call of each attack of each library, on one small PyTorch network."""

from __future__ import annotations

EPS = {"linf": 0.1, "l2": 0.5, "l1": 2.0}


def network():
    """A small network, its images (4, 3, 8, 8) and labels, which it gets right."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(72, 10),
    ).eval()  # fmt: skip
    images = torch.rand(4, 3, 8, 8)
    return model, images, model(images).argmax(1)


def foolbox_calls():
    import foolbox

    model, images, labels = network()
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    attacks = foolbox.attacks

    def call(attack, eps):
        return lambda: attack(wrapped, images, labels, epsilons=eps)[1]

    found = {
        "fgsm linf": call(attacks.FGSM(), EPS["linf"]),
        "pgd linf": call(attacks.LinfPGD(), EPS["linf"]),
        "pgd l2": call(attacks.L2PGD(), EPS["l2"]),
        "pgd l1": call(attacks.L1PGD(), EPS["l1"]),
        "fmn linf": call(attacks.LInfFMNAttack(steps=10), EPS["linf"]),
        "fmn l2": call(attacks.L2FMNAttack(steps=10), EPS["l2"]),
        "fmn l1": call(attacks.L1FMNAttack(steps=10), EPS["l1"]),
        "ddn l2": call(attacks.DDNAttack(steps=10), EPS["l2"]),
    }

    def targeted():
        criterion = foolbox.criteria.TargetedMisclassification((labels + 1) % 10)
        return attacks.LinfPGD()(wrapped, images, criterion, epsilons=EPS["linf"])[1]

    for kind, name in (("autoattack", "AutoAttack"), ("apgd", "APGD"), ("fab", "FAB"),
                       ("square", "SquareAttack"), ("spsa", "SPSA")):  # fmt: skip
        found[f"{kind} linf"] = lambda name=name: getattr(attacks, name)
    return {**found, "targeted pgd": targeted}


def art_calls():
    import numpy as np
    import torch
    from art.attacks import evasion
    from art.estimators.classification import PyTorchClassifier

    model, images, labels = network()
    classifier = PyTorchClassifier(
        model, torch.nn.CrossEntropyLoss(), (3, 8, 8), 10, clip_values=(0, 1)
    )
    inputs, targets = images.numpy(), labels.numpy()
    norms = {"linf": np.inf, "l2": 2, "l1": 1}

    def call(name, norm=None, y=targets, **settings):
        def run():
            given = dict(settings)
            if norm is not None:
                given.update(norm=norms[norm], eps=EPS[norm])
            attack = getattr(evasion, name)(classifier, **given)
            return attack.generate(inputs, y)

        return run

    apgd = {"eps_step": 0.02, "max_iter": 5, "nb_random_init": 1, "verbose": False}
    pgd = {"eps_step": 0.02, "max_iter": 5, "verbose": False}
    found = {
        "fgsm linf": call("FastGradientMethod", "linf"),
        **{f"pgd {norm}": call("ProjectedGradientDescent", norm, **pgd)
           for norm in norms},
        "targeted pgd": call("ProjectedGradientDescent", "linf",
                             y=(targets + 1) % 10, targeted=True, **pgd),
        **{f"apgd {norm}": call("AutoProjectedGradientDescent", norm, **apgd)
           for norm in norms},
        "square linf": call("SquareAttack", "linf", max_iter=10, nb_restarts=1,
                            verbose=False),
        "autoattack linf": call("AutoAttack", "linf", eps_step=0.02),
        "fab linf": call("FAB", "linf"),
        "fmn linf": call("FMN", "linf"),
        "ddn l2": call("DDN", "l2"),
        "spsa linf": call("SPSA", "linf"),
    }  # fmt: skip
    return found


def torchattacks_calls():
    import torchattacks

    model, images, labels = network()

    def call(name, *arguments, **settings):
        def run():
            return getattr(torchattacks, name)(model, *arguments, **settings)(
                images, labels
            )

        return run

    def targeted():
        attack = torchattacks.PGD(model, eps=EPS["linf"])
        attack.set_mode_targeted_by_label()
        return attack(images, (labels + 1) % 10)

    few = {"steps": 5, "n_restarts": 1}
    found = {
        "fgsm linf": call("FGSM", eps=EPS["linf"]),
        "pgd linf": call("PGD", eps=EPS["linf"]),
        "pgd l2": call("PGDL2", eps=EPS["l2"]),
        "pgd l1": call("PGDL1", eps=EPS["l1"]),
        "targeted pgd": targeted,
        "spsa linf": call("SPSA", eps=EPS["linf"]),
        "fmn linf": call("FMN", eps=EPS["linf"]),
        "ddn l2": call("DDN"),
    }
    names = {"linf": "Linf", "l2": "L2", "l1": "L1"}
    for norm, eps in EPS.items():
        settings = {"norm": names[norm], "eps": eps, "seed": 0}
        found[f"apgd {norm}"] = call("APGD", **settings, **few)
        found[f"fab {norm}"] = call("FAB", **settings, **few)
        found[f"square {norm}"] = call("Square", **settings, n_queries=10)
        found[f"autoattack {norm}"] = call(
            "AutoAttack", **settings, version="standard", n_classes=10
        )
    found["autoattack plus"] = call(
        "AutoAttack", norm="Linf", eps=EPS["linf"], version="plus", n_classes=10
    )
    return found


def adv_lib_calls():
    from adv_lib import attacks
    from adv_lib.attacks import fast_adaptive_boundary  # noqa: F401

    model, images, labels = network()

    def call(name, **settings):
        return lambda: getattr(attacks, name)(model, images, labels, **settings)

    infinity = float("inf")
    found = {
        "pgd linf": call("pgd_linf", **{"ε": EPS["linf"], "steps": 10}),
        "ddn l2": call("ddn", steps=10),
        "fmn linf": call("fmn", norm=infinity, steps=10),
        "fmn l2": call("fmn", norm=2, steps=10),
        "fmn l1": call("fmn", norm=1, steps=10),
        "fab linf": call("fab", norm=infinity, n_iter=5),
        "fab l2": call("fab", norm=2, n_iter=5),
        "fab l1": call("fab", norm=1, n_iter=5),
        "apgd linf": call("apgd", eps=EPS["linf"], norm=infinity, n_iter=5),
        "apgd l2": call("apgd", eps=EPS["l2"], norm=2, n_iter=5),
        "apgd l1": call("apgd", eps=EPS["l1"], norm=1, n_iter=5),
        "targeted ddn": lambda: attacks.ddn(
            model, images, (labels + 1) % 10, targeted=True, steps=10
        ),
    }
    for name in ("fgsm", "autoattack", "square", "spsa"):
        found[f"{name} linf"] = lambda name=name: getattr(attacks, name)
    return found


LIBRARIES = {
    "foolbox": foolbox_calls,
    "adversarial-robustness-toolbox": art_calls,
    "torchattacks": torchattacks_calls,
    "adv-lib": adv_lib_calls,
}
