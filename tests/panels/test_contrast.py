"""Text that is drawn fainter than the rest can still be read: 4.5 to 1 (WCAG 2.2, AA), on JupyterLab's two grounds."""

import re

import pytest

from courselib.panels.view import STATIC

# JupyterLab 4: --jp-content-font-color1 (with its own opacity) on --jp-layout-color0.
THEMES = {"light": ((0, 0, 0), 0.87, (255, 255, 255)), "dark": ((255, 255, 255), 1.0, (17, 17, 17))}
LEAST = 4.5
# Lines and bars, which are no text.
DRAWN = {".cl-legend-own::before, .cl-bar-own", '.cl-unset input[type="range"]'}
# What stands within something that is faint itself.
WITHIN = {".cl-stage-count, .cl-stage-passes": ".cl-stage.cl-off"}


def over(above, opacity, below):
    return tuple(opacity * a + (1 - opacity) * b for a, b in zip(above, below, strict=True))


def luminance(colour):
    shares = [value / 255 for value in colour]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def rules(name):
    """Selector and body of each rule of a style sheet."""
    text = re.sub(r"/\*.*?\*/", "", (STATIC / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [(selector.strip(), body) for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", text)]


def opacities(name):
    found = ((selector, re.search(r"(?<!-)\bopacity: ([\d.]+)", body)) for selector, body in rules(name))
    return {selector: float(at[1]) for selector, at in found if at and selector not in DRAWN}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    "name", ["token_text.css", "next_token.css", "walk.css", "controls_form.css", "marked_text.css"]
)
def test_faint_text_can_be_read(name, theme):
    text, own, ground = THEMES[theme]
    faint = opacities(name)
    assert faint
    for selector, opacity in faint.items():
        opacity *= faint[WITHIN[selector]] if selector in WITHIN else 1
        assert contrast(over(text, own * opacity, ground), ground) >= LEAST, selector


@pytest.mark.parametrize("theme", THEMES)
def test_marks_can_be_read_on_every_shade(theme):
    text, own, ground = THEMES[theme]
    faint = opacities("token_text.css")[".cl-quiet-mark, .cl-special"]
    shades = [re.search(r"rgba\((\d+), (\d+), (\d+), ([\d.]+)\)", body) for _selector, body in rules("token_text.css")]
    shades = [tuple(float(number) for number in found.groups()) for found in shades if found]
    assert len(shades) == 4
    for *colour, opacity in shades:
        shade = over(colour, opacity, ground)
        assert contrast(over(text, own * faint, shade), shade) >= LEAST, opacity
