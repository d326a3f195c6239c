"""The vllm backend: vLLM in this process. See docs/vllm.md."""
