"""From trained models to ONNX blobs that do the same."""
