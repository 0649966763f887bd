"""From the dataset to one ONNX file: networks, training, evaluation, export. The only importer of torch."""

import os

# Threads of torch that wait for one another spin by default, and take from each other what they wait for as
# soon as the machine has anything else to do: on two cores under a load of five, a step of an LSTM took
# 156 ms so, and 17 ms asleep. It is read when torch is loaded, which is after this.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
