"""`kaggle:owner/name`: a public Kaggle data set through kagglehub's own download and cache."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from mstl_edge.errors import DataError, MissingExtraError
from mstl_edge.installing import install_extra

HANDLE = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+")


def kaggle_folder(handle: str) -> Path:
    """Return the local folder of a Kaggle data set, downloading it the first time.

    Args:
        handle: `owner/name`, as in the address of the data set.

    Raises:
        DataError: The handle is none, or the data set could not be fetched.
        MissingExtraError: kagglehub is not installed.
    """
    if not HANDLE.fullmatch(handle):
        raise DataError(
            "a Kaggle data set as kaggle:owner/name",
            received=f"kaggle:{handle}",
            hint="For example kaggle:felipekitamura/head-ct-hemorrhage.",
        )
    alternative = "or give a folder that you have: --data STAGE=PATH"
    try:
        import kagglehub
        from kagglehub import exceptions as kaggle_errors
    except ImportError as error:
        raise MissingExtraError(
            f"the package kagglehub for kaggle:{handle}",
            hint=f"Install it with {install_extra('train')}, {alternative}.",
        ) from error
    except RuntimeError as error:  # no HOME, and a user number that the list of users lacks
        raise DataError(
            "a home folder, where kagglehub keeps its settings",
            received="neither HOME nor an entry for this user",
            hint=f"Set HOME to a folder, {alternative}.",
        ) from error
    try:
        return Path(kagglehub.dataset_download(handle))
    except (
        OSError,  # what requests raises, and kagglehub's HTTP errors
        ValueError,
        kaggle_errors.BackendError,
        kaggle_errors.CredentialError,
        kaggle_errors.DataCorruptionError,
        kaggle_errors.NotFoundError,
        kaggle_errors.UnauthenticatedError,
    ) as error:
        raise DataError(
            f"Kaggle to hand over the data set {handle}",
            received=textwrap.shorten(f"{type(error).__name__}: {error}", 120, placeholder=" …"),
            hint=f"Check the network and the name, {alternative}.",
        ) from error
