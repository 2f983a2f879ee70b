"""What a demo with employees prints: names where they may be said, of what is too small only that, and the verdict."""

import io

from rich.console import Console

from stream_app.core.messages import Role
from stream_app.core.state.scopes import ScopeName
from stream_app.demo.employees import said
from stream_app.demo.employees.readings import INFLUENCERS, Named, Reading
from stream_app.demo.employees.verdict import Verdict, too_small
from stream_app.demo.generator.company import ACROSS
from tests.unit.demo.employees.test_verdict import CARRIER, LEGAL, right_cuts
from tests.unit.demo.generator.test_company import SETTINGS, made
from tests.unit.demo.test_demo_parts import text_of


def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def test_people_are_listed_where_they_may_be_named_and_nothing_else_of_what_is_too_small() -> None:
    people = [CARRIER, *(f"emp-{n}" for n in range(5))]
    named = tuple(Named(person, ScopeName(ACROSS, "*"), Role.CONNECTOR, None) for person in people)
    who = said.who_in([Reading(f"{INFLUENCERS}?topic=*", "", named=named), Reading("board x", "", named=named)])
    out = console()
    said._print_company(out, right_cuts(), who, too_small(made(), SETTINGS))
    lines = [line.split() for line in text_of(out).splitlines()]
    assert ["*", "175", "25", *f"{CARRIER}, emp-0, emp-1, emp-2 and 2 more".split()] in lines
    assert ["payroll", "5", "5", "nobody"] in lines
    assert ["legal", "too", "small"] in lines
    assert ["reception", "too", "small"] in lines
    assert "The topic childcare in engineering: too small." in text_of(out)
    assert LEGAL not in text_of(out)


def test_the_loud_one_is_said_to_speak_and_not_to_carry() -> None:
    (loud,) = made().decoys
    out = console()
    said._print_loud(out, made(), {(ScopeName("logistics", "*"), Role.MAVEN): [loud]})
    text = " ".join(text_of(out).split())
    assert "among those who speak most in logistics, and not among those who carry the news" in text


def test_a_verdict_says_what_is_wrong_and_not_all_of_it() -> None:
    out = console()
    said._print_verdict(out, Verdict(100, 7, [f"route {n}" for n in range(25)], 60, ["tea: k is 5"]))
    text = " ".join(text_of(out).split())
    assert "100 answers, records and keys were read, which name somebody 7 times: these may not" in text
    assert "route 19" in text
    assert "route 20" not in text
    assert "… and 5 more" in text
    assert "tea: k is 5" in text
    fine = console()
    said._print_verdict(fine, Verdict(100, 7, [], 60, []))
    assert "none names anybody or anything below the minimum" in " ".join(text_of(fine).split())
    assert "60 cuts of enough people are right" in text_of(fine)
