"""To the Hugging Face hub, for a user who is logged in."""

from __future__ import annotations

from pathlib import Path

from formats.errors import ConfigError


def logged_in() -> str:
    """The user's name. Raises ConfigError without a login, or without the hub."""
    from huggingface_hub import HfApi, get_token

    if get_token() is None:
        raise ConfigError(
            "push needs a login to the Hugging Face hub",
            expected="a token of yours",
            fix="hf auth login, or set HF_TOKEN; the folder alone needs none: leave push= out",
        )
    try:
        return str(HfApi().whoami()["name"])
    except Exception as error:  # the hub's client raises many kinds, of its own and of httpx
        raise ConfigError(
            "the Hugging Face hub does not take this login, or cannot be reached",
            got=str(error).splitlines()[0],
            fix="hf auth login; or leave push= out and upload the folder later",
        ) from None


def push(folder: Path, repo: str) -> str:
    """Uploads ``folder`` as the model ``repo`` (private until its owner opens it); its address."""
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(repo, private=True, exist_ok=True)
        return str(api.upload_folder(folder_path=folder, repo_id=repo))
    except Exception as error:
        raise ConfigError(
            "the hub refused the upload",
            got=str(error).splitlines()[0],
            expected="push=<user>/<name> that you may write to",
            fix=f"the folder {folder} is complete: hf upload {repo} {folder}",
        ) from None
