"""Certificates for servers and clients of the tests, made by openssl: valid ones, and ones to be refused."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

_TIMEOUT_S = 30


class Certificate(NamedTuple):
    """PEM files: a certificate and its key, and both in one."""

    cert: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates; `cert` is what its clients trust."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        """Skips the test where openssl is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self.name = folder, name
        self.cert, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl("req", "-x509", *_new_key(self._key), "-out", self.cert, "-days", 2, "-subj", f"/CN={name}")

    def sign(self, name: str, *hosts: str, days: int = 2, password: str = "") -> Certificate:
        """A certificate for `hosts`, or for a client; it has expired where `days` is below zero."""
        made = Certificate(*(self._folder / f"{self.name}-{name}.{kind}" for kind in ("pem", "key", "both.pem")))
        request, extensions = made.cert.with_suffix(".csr"), made.cert.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={','.join(_alternative(host) for host in hosts or (name,))}\n")
        _openssl("req", *_new_key(made.key), "-out", request, "-subj", f"/CN={name}")
        signer = ("-CA", self.cert, "-CAkey", self._key, "-CAcreateserial")
        _openssl("x509", "-req", "-in", request, *signer, "-days", days, "-extfile", extensions, "-out", made.cert)
        made.both.write_bytes(made.key.read_bytes() + made.cert.read_bytes())
        if password:
            _openssl("pkcs8", "-topk8", "-in", made.key, "-out", request, "-passout", f"pass:{password}")
            request.replace(made.key)
        return made


def _new_key(path: Path) -> tuple[object, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path)


def _alternative(host: str) -> str:
    return f"IP:{host}" if host.replace(".", "").isdigit() else f"DNS:{host}"


def _openssl(*arguments: object) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs system package: openssl (it makes the certificates of the tests)")
    done = subprocess.run(
        [openssl, *map(str, arguments)], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    assert not done.returncode, done.stderr
