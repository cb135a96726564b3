"""Networks from other programs and for them: ONNX, and PyTorch's state dicts."""
