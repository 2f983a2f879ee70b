"""The file of tokens: what its lines say, what is wrong with a line, and that it is read again as it changes."""

from pathlib import Path

import pytest

from stream_app.serving.http.tokens import MOST_TOKENS, AccessRole, Caller, TokensFile, TokensFileError, tokens_in

LINE = "name=ann role=analyst populations=sales,board until=2027-01-31 token=ann-has-this-token"
DAY_AFTER_S = 1_801_440_000.0
"""2027-02-01T00:00Z."""


def test_a_line_says_whose_token_it_is_and_what_they_may_see() -> None:
    text = f"# tokens\n\n{LINE}\nname=bob role=viewer,operator populations=* until=never   # signed in by the proxy\n"
    ann, bob = tokens_in(text, "tokens")
    assert ann.caller == Caller("ann", frozenset({AccessRole.ANALYST}), frozenset({"sales", "board"}))
    assert (ann.secret.reveal(), ann.until_s) == ("ann-has-this-token", DAY_AFTER_S)
    assert (bob.caller.populations, bob.until_s, bool(bob.secret)) == (None, None, False)
    assert ann.caller.may(AccessRole.VIEWER)
    assert not ann.caller.may(AccessRole.OPERATOR)
    assert not bob.caller.may(AccessRole.ANALYST)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (LINE.replace("analyst", "analist"), "line 2, role: 'analist' is none of viewer, analyst, operator"),
        (LINE.replace("role=", "rolle="), "line 2, word 2: there is no field 'rolle'; did you mean role"),
        (LINE.replace("role=analyst ", ""), "line 2, role: it is missing"),
        (LINE.replace("until=2027-01-31 ", ""), "line 2, until: it is missing"),
        (LINE.replace("2027-01-31", "2027-02-30"), "line 2, until: '2027-02-30' is no day"),
        (LINE.replace("sales,board", "sales,,board"), "line 2, populations: write"),
        (LINE.replace("sales,board", "*,board"), "line 2, populations: write"),
        (LINE + " name=bob", "line 2, name: it is there twice"),
        (LINE.replace("=ann-has-this-token", "=short-one"), "line 2, token: it has 9 characters"),
        (LINE.replace("token=", ""), "line 2, word 5: write name=value"),
        (LINE.replace("name=ann ", "name= "), "line 2, name: give it 1 to 256"),
        (LINE.replace("name=ann", "name=first"), "line 2, name: 'first' is in an earlier line"),
        (LINE.replace("ann-has-this-token", "the-token-of-first"), "line 2, token: an earlier line has the same"),
    ],
)
def test_an_error_says_line_and_field_and_never_the_token(line: str, says: str) -> None:
    first = "name=first role=viewer populations=* until=never token=the-token-of-first"
    with pytest.raises(TokensFileError) as caught:
        tokens_in(f"{first}\n{line}\n", "tokens")
    assert says in str(caught.value)
    assert "has-this-token" not in str(caught.value)
    assert "the-token-of" not in str(caught.value)


def test_the_number_of_tokens_is_bounded() -> None:
    lines = [f"name=n{number} role=viewer populations=* until=never" for number in range(MOST_TOKENS + 1)]
    with pytest.raises(TokensFileError, match="at most 500"):
        tokens_in("\n".join(lines), "tokens")


class Clock:
    now_s = 1_700_000_000.0

    def __call__(self) -> float:
        self.now_s += 2.0
        return self.now_s


def test_the_file_is_read_again_when_it_changes_and_while_it_is_wrong_nobody_has_a_token(tmp_path: Path) -> None:
    path, clock = tmp_path / "tokens", Clock()
    path.write_text(LINE)
    file = TokensFile(str(path), clock)
    assert [token.caller.name for token in file.tokens()] == ["ann"]
    path.write_text(f"{LINE}\nname=bob role=viewer populations=* until=never token=bob-has-this-token")
    assert [token.caller.name for token in file.tokens()] == ["ann", "bob"]
    path.write_text(f"{LINE}\nname=bob")
    for _ in range(2):
        with pytest.raises(TokensFileError, match="line 2, role"):
            file.tokens()
    path.unlink()
    with pytest.raises(TokensFileError, match="cannot be read"):
        file.tokens()
    path.write_text(LINE.replace("ann", "eve"))
    assert [token.caller.name for token in file.tokens()] == ["eve"]


def test_a_token_ends_with_its_day(tmp_path: Path) -> None:
    path, clock = tmp_path / "tokens", Clock()
    path.write_text(LINE)
    file = TokensFile(str(path), clock)
    clock.now_s = DAY_AFTER_S - 3.0
    assert len(file.tokens()) == 1
    clock.now_s = DAY_AFTER_S
    assert file.tokens() == []


def test_a_worker_does_not_start_on_a_file_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    with pytest.raises(TokensFileError, match="STREAM_APP_HTTP_TOKENS_FILE"):
        TokensFile(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(TokensFileError, match="UTF-8"):
        TokensFile(str(path))
