"""Downloading one file: continued where it broke off, patient with servers, checked before it counts as there."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pooch
import requests

from spinelab.data.fetch.catalogue import RemoteFile
from spinelab.errors import DataError

PATIENCE = 6
"""Attempts in a row that bring nothing."""
LONGEST_WAIT_S = 120
TIMEOUT_S = (15, 60)
BLOCK = 1 << 16
"""Bytes that are lost at most when a connection breaks off."""
AGAIN = "run the same command again: what is already here is kept and continued"

Advance = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes of the whole file."""


def download(file: RemoteFile, folder: Path, advance: Advance = lambda done, total: None, pause_s: float = 2) -> Path:
    """Download a file into a folder, or continue it from ``<name>.part``.

    Args:
        file: What; its size and hash are compared where they are known.
        folder: Where; made if needed.
        advance: Told about progress.
        pause_s: Wait after the first failed attempt; doubles with every further one in a row.

    Returns:
        The file, which is whole and has the right hash.

    Raises:
        DataError: The server has no such file, or gave up; size or hash are wrong; the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bring = Resuming(folder / f"{file.name}.part", file.bytes, advance, pause_s)
    known = file.hash or None
    try:
        return Path(pooch.retrieve(file.url, known, fname=file.name, path=folder, downloader=bring))
    except ValueError as error:  # pooch's word for a wrong hash; it has deleted the file
        raise DataError(
            f"{file.url} is not the file that was published: {' '.join(str(error).split())}",
            "run the command again; if it stays so, the publisher's file has changed: report it, do not use it",
            folder / file.name,
        ) from error


class Resuming:
    """A downloader for `pooch` that continues a partial file by an HTTP range request.

    Args:
        part: The partial file. It survives interruptions, beside a ``.etag`` file that names the version.
        size: Bytes of the whole file, None if unknown.
        advance: Told about progress.
        pause_s: First wait after a failed attempt.
    """

    def __init__(self, part: Path, size: int | None, advance: Advance, pause_s: float) -> None:
        self.part, self.size, self.advance, self.pause_s = part, size, advance, pause_s
        self.etag = part.with_name(f"{part.name}.etag")

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Bring the file and move it to `output_file`, which lies in the same folder."""
        failures, reason, wait = 0, "", 0.0
        while failures < PATIENCE:
            before, wait = self._have(), 0.0
            try:
                if self._attempt(url):
                    self._hand_over(url, Path(output_file))
                    return
                reason = "the connection broke off"
            except _Busy as busy:
                reason, wait = str(busy), busy.wait_s
            except requests.RequestException as error:
                reason = f"{type(error).__name__}: {error}"
            failures = failures + 1 if self._have() <= before else 1
            time.sleep(min(LONGEST_WAIT_S, max(wait, self.pause_s * 2 ** (failures - 1))))
        raise DataError(f"{url} could not be downloaded: {reason}", AGAIN, self.part)

    def _attempt(self, url: str) -> bool:
        """One request; True when the file is whole."""
        have = self._have()
        if self.size is not None and have == self.size:
            return True
        headers = {"Accept-Encoding": "identity"}  # a range of a packed stream would be of other bytes
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.etag.is_file():
                headers["If-Range"] = self.etag.read_text(encoding="utf-8")
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            return self._receive(response, have, url)

    def _receive(self, response: requests.Response, have: int, url: str) -> bool:
        if response.status_code == 416:  # nothing after what is here: whole, or not of this file
            if response.headers.get("Content-Range", "").endswith(f"/{have}"):
                return True
            self._forget()
            return False
        _check_status(response, url, self.part)
        continued = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        if not continued and response.status_code == 206:
            self._forget()
            return False
        length = response.headers.get("Content-Length")
        start = have if continued else 0
        total = start + int(length) if length else self.size
        self._remember(response.headers.get("ETag", ""))
        self._write(response, "ab" if continued else "wb", start, total)
        return total is None or self._have() >= total

    def _write(self, response: requests.Response, mode: str, done: int, total: int | None) -> None:
        try:
            with self.part.open(mode) as stream:
                for block in response.iter_content(BLOCK):
                    stream.write(block)
                    done += len(block)
                    self.advance(done, total)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DataError(f"the disk is full after {done} bytes", f"make room, then {AGAIN}", self.part) from None
            raise

    def _hand_over(self, url: str, output: Path) -> None:
        if self.size is not None and self._have() != self.size:
            found = self._have()
            self._forget()
            raise DataError(
                f"{url} has {found} bytes, published are {self.size}",
                "run the command again; if it stays so, the publisher's file has changed: report it, do not use it",
                self.part,
            )
        self.part.replace(output)
        self._forget()

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _remember(self, etag: str) -> None:
        if etag and not etag.startswith("W/"):  # a weak tag does not vouch for the same bytes
            self.etag.write_text(etag, encoding="utf-8")
        else:
            self.etag.unlink(missing_ok=True)

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.etag.unlink(missing_ok=True)


class _Busy(Exception):
    """The server asks to come again, perhaps after some seconds."""

    def __init__(self, answer: str, wait: str) -> None:
        super().__init__(answer)
        self.wait_s = float(wait) if wait.isdecimal() else 0.0


def _check_status(response: requests.Response, url: str, part: Path) -> None:
    status = response.status_code
    if status == 429 or status >= 500:
        raise _Busy(f"the server answered {status} {response.reason}", response.headers.get("Retry-After", ""))
    if status >= 400:
        raise DataError(
            f"{url}: the server answered {status} {response.reason}",
            "look at the data set's page whether it has moved, and report it",
            part,
        )
