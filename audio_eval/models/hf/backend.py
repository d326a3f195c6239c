"""The hf backend: transformers checkpoints from a folder or the hub, generating and training in this process."""

from __future__ import annotations

from pathlib import Path

from audio_eval.errors import NotHere, UserError
from audio_eval.models.backends import Limits
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.hf.files import adapter_digests, adapter_name, check_files, digests, read_settings
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.hf.versions import UPGRADE, since, too_old
from audio_eval.models.policy import TrainablePolicy


class HF:
    """A Backend. torch and transformers are imported when a model is loaded, not before."""

    name = "hf"
    Config = EngineSettings
    can_train = True
    takes_adapter = True
    takes_long_audio = ("chunk", "skip")
    can_be_deterministic = True

    def batch_size(self, device: str | None) -> int | None:
        """Questions per batch where the user gives no number: more on a GPU, by the memory of the card."""
        if not any(Path(driver).exists() for driver in ("/dev/nvidiactl", "/dev/dxg")):  # before torch is imported
            return None
        from audio_eval.models.hf.question_batches import card_bytes, questions_of_card

        total = card_bytes(device)
        return None if total is None else questions_of_card(total)

    def locate(self, entry: ModelEntry) -> str:
        """The checkpoint's folder: the source itself, or a hub snapshot that is complete in the local cache."""
        if Path(entry.source).expanduser().is_dir():
            return entry.source
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(entry.source, revision=entry.revision, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError):
            raise NotHere(f"{entry.source} is not on this machine: a dry run downloads no model") from None
        index = folder / "model.safetensors.index.json"
        listed = read_settings(index).get("weight_map") if index.is_file() else None
        weights = set(map(str, listed.values())) if isinstance(listed, dict) else {"model.safetensors"}
        if absent := sorted(name for name in weights if not (folder / name).is_file()):
            raise NotHere(
                f"{entry.source} is not complete on this machine ({absent[0]} is missing): a dry run downloads no model"
            )
        return str(folder)

    def digests(self, entry: ModelEntry) -> dict[str, str]:
        """The sha256 of the files of the checkpoint, and of the adapter's."""
        of_adapter = adapter_digests(entry.adapter) if entry.adapter else {}
        folder = Path(self.locate(entry)).expanduser()
        check_files(entry.source, folder)
        return digests(folder) | {f"adapter/{name}": digest for name, digest in of_adapter.items()}

    def load(self, entry: ModelEntry, config: EngineSettings, limits: Limits) -> TrainablePolicy:
        """The checkpoint, downloaded from the hub where it is not on this machine."""
        if now := too_old(entry):
            raise UserError(
                f"model '{entry.name}' needs transformers {since(entry)}, and {now} is installed: {UPGRADE}."
            )
        import torch

        from audio_eval.models.hf.deterministic import settle
        from audio_eval.models.hf.policy import HFPolicy, device_of

        kind, _, number = (limits.device or "cpu").partition(":")
        if kind == "cuda" and int(number or 0) >= (found := torch.cuda.device_count()):
            raise UserError(f"--device {limits.device}: torch finds {found} GPUs here; see audio-eval doctor.")
        settle(limits.deterministic, device_of(limits.device))
        name = f"{entry.name}+{adapter_name(entry.adapter)}" if entry.adapter else entry.name
        return HFPolicy(
            name, entry.source, limits.device, limits.batch_size, limits.max_tokens, entry.revision, config,
            entry.adapter, limits.long_audio,
        )  # fmt: skip
