"""Templates as tables: what is refused, and what a filled-in text says."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omoi_os.domain.phases import Phase
from omoi_os.domain.statuses import Priority
from omoi_os.domain.storable import MAX_TEXT
from omoi_os.domain.templates import (
    CUT,
    HANDED_ON,
    VARIABLES,
    Template,
    check_templates,
    describe,
    read_template,
    render,
    visit_of,
    work_phase,
)
from omoi_os.errors import TemplateInvalid, UnknownPhase

GOOD: dict[str, Any] = {
    "task_type": "run_tests",
    "description_template": "Run: {ticket_title}",
    "priority": "MEDIUM",
    "capabilities": ["testing"],
    "depends_on": ["write_tests"],
}
VALUES = {
    "ticket_title": "A title",
    "ticket_description": "A description",
    "ticket_priority": "HIGH",
    "phase": "PHASE_TESTING",
}


def make(text: str, task_type: str = "build", depends_on: tuple[str, ...] = ()) -> Template:
    return Template(task_type, text, depends_on=depends_on)


def test_a_template_is_read_and_written_in_the_same_form() -> None:
    read = read_template(GOOD)
    assert read == Template(
        "run_tests", "Run: {ticket_title}", Priority.MEDIUM, ("testing",), ("write_tests",)
    )
    assert read.as_dict() == GOOD


def test_what_may_be_left_out_is_medium_for_any_agent_and_waits_for_nothing() -> None:
    assert read_template({"task_type": "build", "description_template": "x"}) == Template("build", "x")


def test_names_that_stand_twice_count_once() -> None:
    read = read_template(GOOD | {"capabilities": ["a", "b", "a"], "depends_on": ["x", "x"]})
    assert (read.capabilities, read.depends_on) == (("a", "b"), ("x",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task_typ": 1}, "'task_typ' is not known; known are task_type, description_template"),
        ({"description_template": None}, "description_template must be a text"),
        ({"description_template": 7}, "description_template must be a text"),
        ({"description_template": " \n"}, "description_template must be a text"),
        ({"description_template": "x" * (MAX_TEXT + 1)}, "description_template: it has 200,001"),
        ({"description_template": "a\x00"}, "description_template: it holds a NUL"),
        ({"description_template": "{titel}"}, r"no variable \{titel\}; there are \{ticket_title\}"),
        ({"priority": "URGENT"}, "'URGENT' is not one of CRITICAL, HIGH, MEDIUM, LOW"),
        ({"priority": None}, "priority must be one of"),
        ({"priority": 1}, "priority must be one of"),
        ({"capabilities": "testing"}, "capabilities must be a list"),
        ({"capabilities": {"testing": True}}, "capabilities must be a list"),
        ({"capabilities": None}, "capabilities must be a list"),
        ({"capabilities": ["testing", 3]}, "capabilities must be a list of names, and 3 is none"),
        ({"capabilities": [""]}, "capabilities must be a list of names, and '' is none"),
        ({"capabilities": ["x" * 101]}, "capabilities: it has 101"),
        ({"capabilities": [str(n) for n in range(101)]}, "capabilities must be a list of at most 100"),
        ({"depends_on": "write_tests"}, "depends_on must be a list"),
        ({"depends_on": {"depends_on": ["write_tests"]}}, "depends_on must be a list"),
        ({"depends_on": ["\ud800"]}, "depends_on: it holds half of a surrogate pair"),
        ({"depends_on": ["run_tests"]}, "wait for one another for ever: run_tests -> run_tests"),
    ],
)
def test_a_template_that_cannot_be_used_is_named_with_the_reason(change: dict[str, Any], said: str) -> None:
    with pytest.raises(TemplateInvalid, match=f"task template 'run_tests': .*{said}") as refused:
        read_template(GOOD | change)
    assert refused.value.facts["template"] == "run_tests"


@pytest.mark.parametrize(
    "broken",
    [
        *({**GOOD, "task_type": name} for name in (None, "", "  ", 5, ["run_tests"], "x" * 101, "\x00")),
        {},
        [],
        "run_tests",
        None,
    ],
)
def test_a_template_without_a_usable_type_is_refused(broken: object) -> None:
    with pytest.raises(TemplateInvalid, match="task_type"):
        read_template(broken)


@pytest.mark.parametrize(
    ("templates", "said"),
    [
        ([make("x"), make("y")], "'build': a phase can have only one"),
        ([make("x", depends_on=("plan",))], "'build': depends_on: the phase has no template 'plan'; it has"),
        (
            [make("x", "a", ("b",)), make("x", "b", ("c",)), make("x", "c", ("a",))],
            "'a': depends_on: .* a -> b -> c -> a",
        ),
        (
            [make("x", "start", ("a",)), make("x", "a", ("b",)), make("x", "b", ("a",))],
            "depends_on: .* a -> b -> a",
        ),
        ([make("x", f"t{n}") for n in range(101)], "can have 100 task templates, and these are 101"),
    ],
)
def test_templates_that_cannot_be_used_together_are_named(templates: list[Template], said: str) -> None:
    with pytest.raises(TemplateInvalid, match=said):
        check_templates(templates)


def test_templates_may_depend_on_later_ones_and_on_several() -> None:
    check_templates([])
    check_templates([make("x", "a", ("b", "c")), make("x", "b", ("c",)), make("x", "c")])


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("Do: {ticket_title}", "Do: A title"),
        ("{ticket_priority}{phase}", "HIGHPHASE_TESTING"),
        ("{ticket_description}, {ticket_description}", "A description, A description"),
        ("plain", "plain"),
        ("{{ticket_title}}", "{ticket_title}"),
        ("{{{ticket_title}}}", "{A title}"),
        ("{{}}", "{}"),
        ("{{{{", "{{"),
        (
            "100 % of %(ticket_title)s, %s and $ticket_title",
            "100 % of %(ticket_title)s, %s and $ticket_title",
        ),
    ],
)
def test_variables_are_filled_in_and_double_braces_stand_for_braces(text: str, rendered: str) -> None:
    assert render(read_template({"task_type": "build", "description_template": text}), VALUES) == rendered


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("{titel}", "titel"),
        ("{}", ""),
        ("{0}", "0"),
        ("{ ticket_title }", " ticket_title "),
        ("{Ticket_Title}", "Ticket_Title"),
        ("{ticket_title!r}", "ticket_title!r"),
        ("{ticket_title:>99999999}", "ticket_title:>99999999"),
        ("{ticket_title.__class__.__mro__}", "ticket_title.__class__.__mro__"),
        ("{ticket_title[0]}", "ticket_title[0]"),
        ("{ticket_title\n}", "ticket_title\n"),
        ("{" + "x" * 5000 + "}", "x" * 60),
    ],
)
def test_an_unknown_variable_is_named_with_its_template(text: str, variable: str) -> None:
    with pytest.raises(TemplateInvalid, match="task template 'build': there is no variable") as refused:
        read_template({"task_type": "build", "description_template": text})
    assert refused.value.facts == {"template": "build", "variable": variable}
    with pytest.raises(TemplateInvalid):
        render(make(text), VALUES)


@pytest.mark.parametrize(
    "text", ["{", "}", "a { b", "a } b", "{ticket_title", "ticket_title}", "{ticket_title}}", "{{{", "}}}"]
)
def test_a_single_brace_is_refused(text: str) -> None:
    with pytest.raises(TemplateInvalid, match=r"task template 'build': a single . at position"):
        read_template({"task_type": "build", "description_template": text})


LITERAL = [
    "{ticket_description}",
    "{{ticket_description}}",
    "{",
    "}}{{",
    "{0.__class__}",
    "%s %(phase)s 100%",
    "$phase ${phase}",
    "{% for x in y %}{{ x }}{% endfor %}",
    r"\g<0> \1 \n",
    "",
]


@pytest.mark.parametrize("title", LITERAL)
def test_a_value_is_literal_text_whatever_is_in_it(title: str) -> None:
    template = make("<{ticket_title}|{ticket_description}>")
    assert render(template, VALUES | {"ticket_title": title}) == f"<{title}|A description>"


@given(st.fixed_dictionaries(dict.fromkeys(VARIABLES, st.text("{}%$\\ab phase_title", max_size=30))))
def test_no_value_is_ever_filled_in_again(values: dict[str, str]) -> None:
    rendered = render(make("|".join(f"{{{name}}}" for name in VARIABLES)), values)
    assert rendered == "|".join(values[name] for name in VARIABLES)


def test_a_text_that_just_fits_is_whole_and_a_longer_one_says_that_it_was_cut() -> None:
    template = make("x{ticket_description}")
    whole = render(template, VALUES | {"ticket_description": "y" * (MAX_TEXT - 1)})
    assert whole == "x" + "y" * (MAX_TEXT - 1)
    cut = render(template, VALUES | {"ticket_description": "y" * MAX_TEXT})
    assert len(cut) == MAX_TEXT
    assert cut == "x" + "y" * (MAX_TEXT - 1 - len(CUT)) + CUT


def test_a_long_description_named_often_takes_no_more_memory_than_fits() -> None:
    template = make("{ticket_description}" * (MAX_TEXT // 20))
    values = VALUES | {"ticket_description": "y" * MAX_TEXT}
    tracemalloc.start()
    try:
        assert len(render(template, values)) == MAX_TEXT
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * MAX_TEXT  # all of it would be 2 GB


def test_what_earlier_phases_hand_on_stands_at_the_end_as_literal_text() -> None:
    assert (
        describe(make("{ticket_title}"), VALUES, "Use {phase}.") == f"A title\n\n{HANDED_ON}\nUse {{phase}}."
    )
    assert describe(make("{ticket_title}"), VALUES, None) == "A title"
    assert describe(make("{ticket_title}"), VALUES, "") == "A title"


@pytest.mark.parametrize("long", [MAX_TEXT // 2, MAX_TEXT])
def test_a_long_description_leaves_room_for_what_is_handed_on_and_the_other_way_round(long: int) -> None:
    values = VALUES | {"ticket_description": "y" * MAX_TEXT}
    text = describe(make("{ticket_description}"), values, "z" * long)
    assert len(text) == MAX_TEXT
    assert text.count(CUT) == 2
    body, handed_on = text.split(f"\n\n{HANDED_ON}\n")
    assert len(body) == MAX_TEXT // 2
    assert handed_on.startswith("zzz")
    assert describe(make("{ticket_description}"), values, "Short.").endswith(f"{CUT}\n\n{HANDED_ON}\nShort.")


@pytest.mark.parametrize("name", ["PHASE_DONE", "backlog", "PHASE_BLOCKED"])
def test_a_phase_without_tasks_has_no_templates(name: str) -> None:
    with pytest.raises(TemplateInvalid, match="has no tasks; phases with tasks are PHASE_REQUIREMENTS, "):
        work_phase(name)


def test_an_unknown_phase_is_told_apart_from_one_without_tasks() -> None:
    with pytest.raises(UnknownPhase):
        work_phase("PHASE_PARTY")


R, D, T, I_, B = Phase.REQUIREMENTS, Phase.DESIGN, Phase.TESTING, Phase.IMPLEMENTATION, Phase.BLOCKED


@pytest.mark.parametrize(
    ("phase", "stands", "moves", "visit"),
    [
        pytest.param(I_, I_, [], 1, id="it began there"),
        pytest.param(I_, D, [], 1, id="before it gets there"),
        pytest.param(I_, I_, [(D, I_)], 1, id="it got there"),
        pytest.param(I_, T, [(D, I_), (I_, T)], 1, id="it has left"),
        pytest.param(I_, I_, [(D, I_), (I_, T), (T, I_)], 2, id="it came back"),
        pytest.param(I_, I_, [(I_, T), (T, I_)], 2, id="it began there and came back"),
        pytest.param(I_, I_, [(I_, T), (T, I_), (I_, T), (T, I_)], 3, id="it came back twice"),
        pytest.param(I_, I_, [(D, I_), (I_, B), (B, I_)], 1, id="it was blocked there"),
        pytest.param(I_, B, [(D, I_), (I_, B)], 1, id="it is blocked there"),
        pytest.param(I_, I_, [(I_, B), (B, I_), (I_, B), (B, I_)], 1, id="it was blocked twice"),
        pytest.param(I_, I_, [(I_, T), (T, B), (B, T), (T, I_)], 2, id="blocked on the way"),
        pytest.param(I_, I_, [(I_, T), (T, B), (B, I_)], 2, id="forced back out of being blocked"),
        pytest.param(I_, I_, [(None, I_)], 1, id="its beginning is a move"),
        pytest.param(
            I_, I_, [(None, I_), (I_, T), (T, I_)], 2, id="its beginning is a move, and it came back"
        ),
        pytest.param(B, B, [(I_, B)], 1, id="nothing is worked on there"),
    ],
)
def test_a_visit_begins_when_a_ticket_enters_and_being_blocked_does_not_end_it(
    phase: Phase, stands: Phase, moves: list[tuple[Phase | None, Phase]], visit: int
) -> None:
    assert visit_of(phase, stands, moves) == visit
