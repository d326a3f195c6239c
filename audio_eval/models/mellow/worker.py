"""Runs in the Python that Mellow's requirements are installed in, as a program of its own; it has no audio-eval.

    PYTHON worker.py CHECKOUT MODEL DEVICE

It answers one JSON line with another, and ends with its input. The first line says that the model is loaded.
"""

import json
import os
import sys


def main(checkout: str, name: str, device: str) -> None:
    """Load the model, then answer each request: {"clips": [path, path], "prompt": ..., "max_tokens": ...}."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the package prints; the answers have a channel of their own

    def say(**line: object) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    sys.path.insert(0, checkout)
    from mellow import MellowWrapper

    cuda = device.startswith("cuda")
    index = int(device.partition(":")[2] or 0) if cuda else "cpu"
    wrapper = MellowWrapper(config="v0", model=name, device=index, use_cuda=cuda)
    longest = wrapper.args.data["text_tokenization_len"]
    drawn: list[int] = []
    wrapper.model.caption_decoder.lm.register_forward_hook(lambda *_: drawn.append(1))  # once for each token
    say(ready=True)
    for line in sys.stdin:
        asked = json.loads(line)
        tokens = len(wrapper.tokenizer.encode(asked["prompt"]))
        if tokens > longest:
            say(error=f"the prompt has {tokens} tokens, and Mellow reads {longest}: see --prompt")
            continue
        drawn.clear()
        try:
            text = wrapper.generate(
                examples=[[*asked["clips"], asked["prompt"]]], max_len=asked["max_tokens"], top_p=0.8, temperature=1.0
            )[0]
        except TypeError:
            if len(drawn) != 1:
                raise
            text = ""  # the package cannot return a single token, which is the end token unless max_tokens is 1
        say(text=text, finished=len(drawn) < asked["max_tokens"])


if __name__ == "__main__":
    main(*sys.argv[1:])
