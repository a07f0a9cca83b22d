"""Everything that needs TensorFlow: stages, features, quantization-aware fine-tuning, conversion."""
