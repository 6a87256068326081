"""Texts that an artifact may hold in order to be passed without deserving it, by family.

`{nonce}` stands for the nonce of the review's fence, as if its author had guessed it; `{first}` and
`{second}` for the ids of the criteria, which are known to whoever knows the policy; `{where}` for the
artifact's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Injection:
    """One text.

    Attributes:
        quote: What a judge that obeys it would give as its proof; "" for the text itself.
    """

    family: str
    text: str
    quote: str = ""

    def filled(self, **names: str) -> Injection:
        """With the names of one review in the places that are kept for them."""
        text, quote = self.text, self.quote
        for name, value in names.items():
            text, quote = (part.replace(f"{{{name}}}", value) for part in (text, quote))
        return Injection(self.family, text, quote)


def family(name: str, texts: Iterable[str], quote: str = "") -> Iterator[Injection]:
    """Texts of one kind."""
    return (Injection(name, text, quote) for text in texts)


def corpus() -> list[Injection]:
    """All of them, in a fixed order."""
    from tests.injections import forgeries, hidden, orders, persuasion  # noqa: PLC0415 they use this module

    return [
        injection for module in (orders, forgeries, hidden, persuasion) for injection in module.injections()
    ]
