"""From the dataset to one ONNX file: networks, training, evaluation, export. The only importer of torch."""
