"""Inputs of a panel, each declared once: its trait, its widget, its label and help, and the class it has on the page.

    class Sweep(Experiment):
        seeds = Whole(3, low=1, high=5, label=N_("seeds"), help=N_("answers at each value"))

``panel.seeds`` is the value, as any trait is; ``panel.inputs["seeds"]`` the widget, kept equal to it. A value that the
input does not take is refused with a sentence, whoever sets it. An input with ``sent=False`` changes how a result is
shown and not what is asked of the server.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import traitlets

from courselib.errors import SettingsError
from courselib.i18n import _

LABEL_WIDTH = "120px"
# ipywidgets adds a margin of 2 px on both sides, which would stick out.
WIDE = "calc(100% - 4px)"
# A slider with more stops than this cannot be put on one of them.
MOST_STOPS = 1000
# Stands in a list for None, which ipywidgets takes for nothing chosen.
NONE = ""

# ipywidgets 7 has another name for it.
_TOOLTIP = "tooltip" if "tooltip" in widgets.DOMWidget.class_trait_names() else "description_tooltip"


# Colab's traitlets (5.7.1) has no types as parameters when the program runs.
if TYPE_CHECKING:
    Trait = traitlets.TraitType[Any, Any]
else:
    Trait = traitlets.TraitType


class Field(Trait):
    """One input.

    Args:
        default: its value at first.
        label: what stands beside it; the trait's name by default.
        help: one sentence on what it does, shown to those who point at it.
        sent: whether it changes what is asked of the server.
        folded: whether it is rarely needed, and stands in a fold of its own.
    """

    def __init__(
        self, default: Any, *, label: str = "", help: str = "", sent: bool = True, folded: bool = False
    ) -> None:
        super().__init__(default)
        self.label, self.help_text, self.sent, self.folded = label, help, sent, folded

    def validate(self, _panel: object, value: Any) -> Any:
        """The value as the panel keeps it.

        Raises:
            SettingsError: the input does not take it.
        """
        return self.checked(value)

    @abstractmethod
    def checked(self, value: Any) -> Any:
        """The value as the panel keeps it, or a SettingsError."""

    @abstractmethod
    def make(self, **common: Any) -> widgets.Widget:
        """The widget, without its value."""

    def to_widget(self, value: Any) -> Any:
        """The value as the widget holds it."""
        return value

    def from_widget(self, value: Any) -> Any:
        """What the widget holds, as the trait takes it."""
        return value

    def widget(self, panel: traitlets.HasTraits, *, label_width: str = LABEL_WIDTH) -> widgets.Widget:
        """The input of a panel, kept equal to the panel's trait."""
        label = _(self.label) if self.label else str(self.name)
        made = self.make(
            description=label,
            style={"description_width": label_width},
            **{_TOOLTIP: _(self.help_text) if self.help_text else label},
        )
        made.add_class(f"cl-{str(self.name).replace('_', '-')}")
        traitlets.link((panel, self.name), (made, "value"), transform=(self.to_widget, self.from_widget))
        return made

    def _refuse(self, value: Any, takes: str) -> SettingsError:
        return SettingsError(_("{name} is {value!r}; {takes}").format(name=self.name, value=value, takes=takes))


class Text(Field):
    """Some lines of text."""

    def __init__(self, default: str = "", *, rows: int = 2, **more: Any) -> None:
        super().__init__(default, **more)
        self._rows = rows

    def checked(self, value: Any) -> str:
        """A text."""
        if not isinstance(value, str):
            raise self._refuse(value, _("give a text."))
        return value

    def make(self, **common: Any) -> widgets.Textarea:
        """A box of text."""
        return widgets.Textarea(rows=self._rows, layout=widgets.Layout(width=WIDE), **common)


class Name(Field):
    """One of some names that are offered, or any other."""

    def __init__(self, default: str, *, offered: Sequence[str], **more: Any) -> None:
        super().__init__(default, **more)
        self._offered = tuple(offered)

    def checked(self, value: Any) -> str:
        """A name."""
        if not isinstance(value, str):
            raise self._refuse(value, _("give a name such as {name}.").format(name=self._offered[0]))
        return value

    def make(self, **common: Any) -> widgets.Combobox:
        """A box that offers the names."""
        return widgets.Combobox(
            options=self._offered, ensure_option=False, placeholder=", ".join(self._offered), **common
        )


class Lines(Field):
    r"""Several texts, one a line, in which ``\n`` stands for a new line."""

    def checked(self, value: Any) -> tuple[str, ...]:
        """Texts; one alone counts as a list of one."""
        texts = (value,) if isinstance(value, str) else tuple(value)
        if not all(isinstance(text, str) for text in texts):
            raise self._refuse(value, _("give a list of texts."))
        return texts

    def to_widget(self, value: Any) -> str:
        """One text a line."""
        from courselib.panels.controls_form import written

        return str(written(value))

    def from_widget(self, value: Any) -> tuple[str, ...]:
        """The lines that hold something."""
        from courselib.panels.controls_form import lines_of

        return lines_of(value)

    def make(self, **common: Any) -> widgets.Textarea:
        """A box of text."""
        hint = _("one text a line; \\n stands for a new line")
        return widgets.Textarea(rows=3, placeholder=hint, layout=widgets.Layout(width=WIDE), **common)


class Whole(Field):
    """A whole number from ``low`` to ``high``, both included."""

    def __init__(self, default: int, *, low: int, high: int, **more: Any) -> None:
        super().__init__(default, **more)
        self.low, self.high = low, high

    def checked(self, value: Any) -> int:
        """A whole number in range."""
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            takes = _("choose a whole number from {low:,} to {high:,}.").format(low=self.low, high=self.high)
            raise self._refuse(value, takes)
        return value

    def make(self, **common: Any) -> widgets.Widget:
        """A slider, or a box where a slider has too many stops."""
        kind = widgets.IntSlider if self.high - self.low <= MOST_STOPS else widgets.BoundedIntText
        return kind(min=self.low, max=self.high, **common)


class Number(Field):
    """A number from ``low`` to ``high``, both included."""

    def __init__(self, default: float, *, low: float, high: float, step: float, **more: Any) -> None:
        super().__init__(default, **more)
        self.low, self.high, self._step = low, high, step

    def checked(self, value: Any) -> float:
        """A number in range."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.low <= value <= self.high:
            takes = _("choose a number from {low:g} to {high:g}.").format(low=self.low, high=self.high)
            raise self._refuse(value, takes)
        return float(value)

    def make(self, **common: Any) -> widgets.FloatSlider:
        """A slider."""
        return widgets.FloatSlider(min=self.low, max=self.high, step=self._step, **common)


class Flag(Field):
    """Yes or no."""

    def checked(self, value: Any) -> bool:
        """Yes or no."""
        if not isinstance(value, bool):
            raise self._refuse(value, _("choose True or False."))
        return value

    def make(self, **common: Any) -> widgets.Checkbox:
        """A tick box."""
        return widgets.Checkbox(indent=False, layout=widgets.Layout(width="auto"), **common)


class Choice(Field):
    """One of some values.

    Args:
        options: the values, None among them where nothing need be chosen.
        default: the first of them unless another is named.
        names: what a person reads in place of them.
    """

    def __init__(
        self, options: Sequence[Any], *, default: Any = None, names: dict[Any, str] | None = None, **more: Any
    ) -> None:
        super().__init__(options[0] if default is None else default, **more)
        self.options, self._names = tuple(options), names or {}

    def checked(self, value: Any) -> Any:
        """One of the options."""
        if value not in self.options:
            raise self._refuse(value, _("choose one of {options}.").format(options=", ".join(map(str, self.options))))
        return value

    def to_widget(self, value: Any) -> Any:
        """The value, or what stands for None."""
        return NONE if value is None else value

    def from_widget(self, value: Any) -> Any:
        """The value, or None where that is what stands for it."""
        return None if value == NONE and None in self.options else value

    def make(self, **common: Any) -> widgets.Dropdown:
        """A list to choose from."""
        named = [
            (_(self._names[each]) if each in self._names else str(each), self.to_widget(each)) for each in self.options
        ]
        return widgets.Dropdown(options=named, **common)


def fields_of(panel: type) -> dict[str, Field]:
    """The inputs that a panel's class declares, those of its bases first, in the order written.

    One that a class hides with something else, such as ``prompt = None``, is none of its inputs.
    """
    found: dict[str, Field] = {}
    for cls in reversed(panel.__mro__):
        found |= {name: each for name, each in vars(cls).items() if isinstance(each, Field)}
        found = {name: each for name, each in found.items() if isinstance(vars(cls).get(name, each), Field)}
    return found
