from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omoi_os.domain.slugs import slugify, without_invisible


@pytest.mark.parametrize(
    "text",
    [
        "acceptance_criteria",
        "Acceptance criteria",
        "ACCEPTANCE CRITERIA:",
        "  Acceptance \t criteria  ",
        "## 2.1 **Acceptance criteria:**",
        "Acceptance criteria ##",
        "Acceptance-Criteria",
        "_Acceptance_ `criteria`",
        "Acceptance criteria {#ac}",
        "[Acceptance criteria](https://example.org/a(b))",
        "[Acceptance criteria][ac]",
        "Acceptance criteria <!-- at least three -->",
        '<a name="ac"></a>Acceptance criteria',
        "\u2705 Acceptance criteria \U0001f680",
        ":white_check_mark: Acceptance criteria",
        "Acceptance&nbsp;criteria",
        "Acceptance\u00a0criteria",
        "Accept\u200bance crit\u00aderia",
        "\uff21cceptance criteria",
        *(
            f"{number} Acceptance criteria"
            for number in (
                *("1", "1.", "1)", "(1)", "12", "2.1", "2.1.", "2.1.3", "2.1)", "1 -", "1.2 \u2014", "1:"),
                *(
                    "1\\.",
                    "\u00a7 4",
                    "I.",
                    "iv.",
                    "IV)",
                    "\u2163.",
                    "A.",
                    "A)",
                    "(b)",
                    "A.1.",
                    "1\ufe0f\u20e3",
                ),
            )
        ),
        "1.Acceptance criteria",
    ],
)
def test_one_section_has_one_slug_however_it_is_decorated(text: str) -> None:
    assert slugify(text) == "acceptance_criteria"


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("", ""),
        ("---", ""),
        ("\U0001f680", ""),
        ("2.1", "2_1"),
        ("7.", "7"),
        ("2024 roadmap", "2024_roadmap"),
        ("3D view", "3d_view"),
        ("2.5x faster", "2_5x_faster"),
        ("A note", "a_note"),
        ("I/O design", "i_o_design"),
        ("e.g. this", "e_g_this"),
        ("v1.2 changes", "v1_2_changes"),
        ("Goals & Non-Goals", "goals_and_non_goals"),
        ("Goals &amp; Non-Goals", "goals_and_non_goals"),
        ("What's new", "whats_new"),
        ("What\u2019s new", "whats_new"),
        ("Stra\u00dfe", "strasse"),
        ("U\u0308bersicht", "\u00fcbersicht"),
        ("\u4e00\u3001\u76ee\u6807", "\u76ee\u6807"),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u0936\u092c\u094d\u0926",
            "\u0939\u093f\u0928\u094d\u0926\u0940_\u0936\u092c\u094d\u0926",
        ),
        # Looks the same and is another letter: a Cyrillic A.
        ("\u0410cceptance criteria", "\u0430cceptance_criteria"),
    ],
)
def test_a_heading_keeps_its_words(text: str, slug: str) -> None:
    assert slugify(text) == slug


@given(st.text(max_size=80))
def test_a_slug_is_bounded_visible_and_lower_case(text: str) -> None:
    slug = slugify(text)
    assert slug == without_invisible(slug)
    assert not set(slug) & set(" \t\n-.:#*`[](){}<>")
    assert "__" not in slug
    assert slug == slug.strip("_")


def test_a_huge_heading_takes_no_time() -> None:
    for unit in ("(", "[a](", "<a", "<!--", "1.", "&", ":a", "{#", "i", "\u200b", "a b "):
        assert len(slugify(unit * 1_000_000)) <= 5000
