"""The files of the page: how they are served, that none is missing, and what they may not contain."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from zipfile import ZipFile

import aiohttp
import pytest
from aiohttp import web
from flit_core.wheel import make_wheel_in

from stream_app.serving import page
from stream_app.serving.page import add_page

FOLDER = Path(page.__file__).parent
FILES = sorted(path for path in FOLDER.rglob("*") if path.suffix in {".css", ".html", ".js", ".svg"})
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
ROOT = FOLDER.parent.parent.parent
LOCALHOST = "127.0.0.1"
MAX_LINES = 400


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    app = web.Application()
    add_page(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOCALHOST, 0).start()
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(f"http://{LOCALHOST}:{runner.addresses[0][1]}", timeout=timeout) as session:
        yield session
    await runner.cleanup()


def body_of(path: Path) -> bytes:
    return path.read_bytes()


def where(path: Path) -> str:
    return "/" if path.name == "index.html" else f"/page/{name(path)}"


def name(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


async def test_a_file_is_served_as_what_it_is(client: aiohttp.ClientSession, subtests: pytest.Subtests) -> None:
    for path in FILES:
        with subtests.test(path=path):
            kinds = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
            async with client.get(where(path)) as response:
                assert response.status == 200
                assert response.headers["Content-Type"] == f"{kinds[path.suffix]}; charset=utf-8"
                assert response.headers["Cache-Control"] == "no-cache"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert "default-src 'none'; script-src 'self'" in response.headers["Content-Security-Policy"]
                assert "unsafe" not in response.headers["Content-Security-Policy"]
                assert await response.read() == body_of(path)
                etag = response.headers["ETag"]
            async with client.get(where(path), headers={"If-None-Match": etag}) as response:
                assert response.status == 304
                assert response.headers["ETag"] == etag
                assert not await response.read()
            async with client.get(where(path), headers={"If-None-Match": '"older"'}) as response:
                assert response.status == 200


@pytest.mark.parametrize("path", ["__init__.py", "index.html", "", "..%2f__init__.py", "no.js", "charts", "charts/"])
async def test_nothing_else_is_served(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(f"/page/{path}") as response:
        assert response.status == 404


def test_every_file_that_is_named_is_there_and_every_file_is_named() -> None:
    named = {FOLDER / "index.html"}
    for path in FILES:
        text = path.read_text()
        named |= {FOLDER / found for found in re.findall(r'"page/([\w./-]+)"', text)}
        named |= {(path.parent / found).resolve() for found in re.findall(r'"(\.{1,2}/[\w./-]+)"', text)}
    assert named - {FOLDER.parent} == {*FILES}  # the page's own address is "./"


def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    wheel = make_wheel_in(ROOT / "pyproject.toml", tmp_path)
    with ZipFile(wheel.file) as archive:
        assert {f"stream_app/serving/page/{name(path)}" for path in FILES} <= {*archive.namelist()}


def test_a_script_only_ever_sets_text(subtests: pytest.Subtests) -> None:
    dangerous = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|\beval\b|Function\(|javascript:|DOMParser"
    )
    for path in SCRIPTS:
        with subtests.test(path=path):
            assert not re.findall(dangerous, path.read_text())


def test_a_script_begins_with_what_may_stand_in_it_and_has_one_subject(subtests: pytest.Subtests) -> None:
    for path in SCRIPTS:
        with subtests.test(path=path):
            lines = path.read_text().splitlines()
            assert re.fullmatch(r"// .*\.", lines[0])
            assert len(lines) <= MAX_LINES
            assert max(map(len, lines)) <= 120


def test_nothing_comes_from_elsewhere_and_nothing_is_inline() -> None:
    for path in FILES:
        text = path.read_text().replace("http://www.w3.org/", "")
        assert "://" not in text, name(path)
    html = (FOLDER / "index.html").read_text()
    assert not re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", html)


def test_a_folder_holds_one_subject() -> None:
    """At most 13 files: many more are several subjects."""
    sizes = Counter(path.parent for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert max(sizes.values()) <= 13


async def test_an_address_with_another_spelling_of_a_topic_leads_to_its_name(client: aiohttp.ClientSession) -> None:
    asked = {"topic": "#ClimateAction", "role": "maven"}
    async with client.get("/", params=asked, allow_redirects=False) as response:
        assert response.status == 302
        assert response.headers["Location"] == "/?topic=climateaction&role=maven"
    async with client.get("/", params={"topic": "climateaction"}, allow_redirects=False) as response:
        assert response.status == 200
