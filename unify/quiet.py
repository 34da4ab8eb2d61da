"""Keeps libraries from talking over our own progress."""

from __future__ import annotations

import logging
import warnings


def quiet() -> None:
    """Keeps libraries from talking over our own progress."""
    from datasets.utils.logging import disable_progress_bar, set_verbosity_error
    from transformers.utils import logging as hf

    hf.set_verbosity_error()
    hf.disable_progress_bar()
    disable_progress_bar()
    set_verbosity_error()
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric|torch)\b")
