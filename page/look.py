"""How the page looks: theme, style and header. Fonts come with Gradio or the machine."""

from __future__ import annotations

from typing import Any

import gradio as gr

from page.stage import ASSETS
from segzero.contract import PRESETS, Preset

# Gradio ships these faces in regular and bold; its semibold lacks most letters.
_SANS = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
_MONO = gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700))

FAVICON = ASSETS / "favicon.svg"


def theme() -> gr.themes.Base:
    """Gradio's default in indigo and slate, with secondary text dark enough to read (WCAG AA)."""
    default = gr.themes.Default(
        primary_hue="indigo",
        neutral_hue="slate",
        radius_size="lg",
        font=[_SANS, "ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=[_MONO, "ui-monospace", "monospace"],
    )
    return default.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )


def head() -> str:
    """The page's own style. In the head: launch(css=…) would rewrite selectors and break media queries."""
    return f"<style>{(ASSETS / 'page.css').read_text('utf-8')}</style>"


def about(preset: Preset) -> str:
    """What the models in use can and cannot do; of other models than a preset's own, only which they are."""
    own = PRESETS.get(preset.name, preset)
    changed = [name for name in ("reasoner", "segmenter") if getattr(own, name) != getattr(preset, name)]
    if not changed:
        return preset.about
    return "With another " + ", ".join(f"{name}: {getattr(preset, name)}" for name in changed) + "."


class Header(gr.HTML):
    """The name, a line on the preset in use, and a switch between light and dark."""

    def __init__(self, preset: Preset, **options: Any) -> None:
        super().__init__(
            value={"preset": preset.name, "about": about(preset)},
            html_template=(ASSETS / "header.html").read_text("utf-8"),
            js_on_load=(ASSETS / "header.js").read_text("utf-8"),
            apply_default_css=False,
            **options,
        )

    def postprocess(self, value: dict[str, str]) -> dict[str, str]:
        return value

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
