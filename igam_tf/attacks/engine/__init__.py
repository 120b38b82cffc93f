"""What runs attacks from Python: compiled calls, batches, resume and cost.

An attack says what one step does (`igam_tf.attacks.attack`). The engine, which knows no
attack by its name, compiles the steps, cuts the images into batches, drops those that
are misclassified, counts what everything costs, and saves the state now and then.
"""
