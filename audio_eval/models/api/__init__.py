"""The api backend: any OpenAI-compatible server as a policy that generates."""
