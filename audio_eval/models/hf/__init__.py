"""The hf backend: transformers models that generate and train in this process."""
