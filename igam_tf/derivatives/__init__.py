"""What is differentiable twice where Keras and TensorFlow are not, and the check of it.

`directions`, batch statistics (`moments`) and resizes (`resizing`), put in the place of
TensorFlow's by a `replacement`; `second_derivatives.check` looks at a whole network.
"""
