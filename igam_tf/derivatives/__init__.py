"""What is differentiable twice where Keras and TensorFlow are not, and the check of it.

`directions`, batch statistics (`moments`), resizes (`resizing`) and max pooling
(`pooling`), put in the place of TensorFlow's by a `replacement`, all of them by
`layers`; `second_derivatives.check` looks at a whole network.
"""
