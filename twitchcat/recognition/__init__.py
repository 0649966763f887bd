"""The model file and what runs it: onnxruntime and numpy, neither torch nor a database."""
