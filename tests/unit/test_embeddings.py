"""Embeddings as the server sends them."""

import struct

import numpy as np

from twitchcat.dataset.embeddings import read_vector


def test_a_vector_is_read_as_the_server_sends_it() -> None:
    values = [0.5, -1.0, 65504.0]  # the last is the largest half
    vector = read_vector(struct.pack(">HH3e", 3, 0, *values))
    assert vector.dtype == np.float32
    assert vector.tolist() == values
