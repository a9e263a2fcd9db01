"""The page: ask about a picture, watch the model reason, see the masks appear.

python app.py                                     the bundled miniature, on http://127.0.0.1:7860
python app.py --preset visionreasoner-7b --port 8080

Programs ask it too: docs/api.md. Where else it runs, a Hugging Face Space for one: docs/deploy.md.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from dataclasses import dataclass, fields
from pathlib import Path

from page.uploads import KEPT_S as UPLOADS_KEPT_S
from page.uploads import Uploads, keep_clean, make_folder, own_folder

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio reads these when it is imported
os.environ["GRADIO_TEMP_DIR"] = own_folder(os.environ.get("GRADIO_TEMP_DIR"))

if os.environ.get("SPACES_ZERO_GPU"):
    import spaces  # before anything that might start CUDA

import gradio as gr
from starlette.middleware import Middleware

from page.api import MAX_UPLOAD_BYTES, SLOT, Api, add_endpoints, why_no_mcp
from page.corrections import Corrections
from page.door import Door, hosts_of
from page.downloads import Download
from page.examples import FOLDER, Example, read_examples
from page.listeners import Listeners
from page.look import FAVICON, Header, head, theme
from page.picture_input import PictureInput
from page.pixels import Pixels
from page.stage import Stage
from page.visit import Visit
from page.zero_gpu import Borrowing
from segzero.cli import add_model_options, load_pipeline
from segzero.contract import PresetError
from segzero.hub import ModelError
from segzero.pipeline import Pipeline

ON_SPACE = "SPACE_ID" in os.environ
MAX_WAITING = 32  # questions, at the door and in the queue
MAX_SESSIONS = 1000  # of which something is remembered
CORRECTIONS = Path("runs/corrections")
STOPPED = 130  # the exit code that shells know of Ctrl-C
GPU_S = 60  # how long a ZeroGPU Space lends its GPU for one question, at most
PLACEHOLDER = "## Ask what to find\nThe model thinks aloud here, and its masks land on the picture."
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Widgets:
    """What listeners read and change."""

    visit: gr.State
    picture: PictureInput
    stage_column: gr.Column
    stage: Stage
    chat: gr.Chatbot
    question: gr.Textbox

    @property
    def all(self) -> list:
        return [getattr(self, field.name) for field in fields(self)]


def build_page(pipeline: Pipeline, corrections: Path | None = None) -> gr.Blocks:
    """The whole page, answering with `pipeline`.

    corrections: a folder on this machine where visitors may save corrected masks; None when they may not.
    """
    examples = read_examples()
    gr.set_static_paths([FOLDER])
    with gr.Blocks(title="Seg-Zero", fill_width=True, delete_cache=(UPLOADS_KEPT_S, UPLOADS_KEPT_S)) as page:
        Header(pipeline.preset, elem_id="header")
        pictures = [example.picture for example in examples]
        uploads = Uploads(Path(os.environ["GRADIO_TEMP_DIR"]), page.upload_file_set, pictures)
        widgets = lay_out(examples, uploads, saves=corrections is not None)
        pixels, kept = Pixels(uploads), Corrections(corrections) if corrections else None
        connect(widgets, Listeners(pipeline, examples, widgets.stage.GRADIO_CACHE, pixels, kept))
        add_endpoints(page, Api(pipeline, pixels, uploads))
    return page.queue(max_size=MAX_WAITING, api_open=False)  # not open: nobody gets past the queue


def lay_out(examples: list[Example], uploads: Uploads, *, saves: bool) -> Widgets:
    """The picture on the left, the conversation on the right; on a phone, one below the other."""
    visit = gr.State(Visit(), time_to_live=UPLOADS_KEPT_S)
    with gr.Row(elem_id="columns", equal_height=False):
        with gr.Column(scale=6, min_width=340, elem_id="left"):
            picture = PictureInput(
                uploads,
                sources=["upload", "clipboard", "webcam"],
                placeholder="# Drop a picture\nor paste one, or take a photo",
                show_label=False,
                buttons=["fullscreen"],
                interactive=True,
                elem_id="picture",
            )
            with gr.Column(visible=False) as stage_column:
                stage = Stage(saves=saves, elem_id="stage")
        with gr.Column(scale=5, min_width=340, elem_id="right"):
            chat = conversation(examples)
            question = gr.Textbox(
                placeholder="Ask: “what could keep me dry?”",
                label="Question",
                show_label=False,
                submit_btn="Ask",
                max_lines=4,
                elem_id="question",
            )
    return Widgets(visit, picture, stage_column, stage, chat, question)


def conversation(examples: list[Example]) -> gr.Chatbot:
    """The chat, with a card for each example. No Markdown: a model's words are to be read, not followed."""
    cards = [{"icon": str(each.picture), "text": each.question} for each in examples]
    return gr.Chatbot(
        examples=cards or None,
        placeholder=PLACEHOLDER,
        render_markdown=False,
        layout="panel",
        show_label=False,
        buttons=[],
        feedback_options=None,
        elem_id="chat",
    )


def connect(widgets: Widgets, on: Listeners) -> None:
    """Who listens to what.

    To ask is: check, begin, answer when the one slot there is for the model is free, settle.
    """
    w = widgets
    asked = [w.picture, w.question, w.visit]
    typed = w.question.submit(on.begin, asked, w.all, validator=on.check, trigger_mode="once", **QUIET)
    picked = w.chat.example_select(on.example, None, [w.picture, w.question], queue=False, **QUIET)
    answers, settled = [], [w.chat, w.stage, w.question]
    for begun in (typed, picked.success(on.begin, asked, w.all, **QUIET)):
        answer = begun.success(
            on.answer,
            [w.visit],
            [w.chat, w.stage],
            **SLOT,
            show_progress="minimal",
            show_progress_on=[w.chat],
            api_visibility="private",
        )
        answer.then(on.settle, [w.visit], settled, queue=False, **QUIET)
        answers.append(answer)
    stopped = w.question.stop(on.stop, [w.visit], None, queue=False, **QUIET)
    stopped.then(on.settle, [w.visit], settled, cancels=answers, queue=False, **QUIET)
    w.stage.another(on.another, [w.visit], w.all, cancels=answers, queue=False, **QUIET)
    w.stage.recall(on.recall, [w.visit], w.all, **QUIET)
    w.chat.select(on.pick, [w.visit], w.all, **QUIET)
    for wish in ("correct", "undo", "save", "inspect"):
        trigger, listener = getattr(w.stage, wish), getattr(on, wish)
        trigger(listener, [w.visit], [w.stage], trigger_mode="multiple", concurrency_id="hand", **QUIET)
    w.stage.take(on.take, [w.visit], [w.stage, Download()], **QUIET)
    w.chat.clear(on.clear, None, w.all, cancels=answers, queue=False, **QUIET)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve the page.")
    add_model_options(parser)
    add = parser.add_argument
    host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0" if ON_SPACE else "127.0.0.1")
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    add("--host", default=host, help=f"address to listen on (default: {host}); 0.0.0.0 for other machines")
    add("--port", type=int, default=port, help=f"default: {port}")
    add("--share", action="store_true", help="open a public link through Gradio's servers")
    add("--auth", type=login, metavar="USER:PASSWORD", help="ask visitors for these")
    add(
        "--corrections",
        type=Path,
        metavar="FOLDER",
        help=f"where visitors may save corrections (default: {CORRECTIONS} when only this machine is served)",
    )
    if argv is None and ON_SPACE:  # where there is no command line
        argv = shlex.split(os.environ.get("SEGZERO_ARGS", ""))
    return parser.parse_args(argv)


def login(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise argparse.ArgumentTypeError("expected USER:PASSWORD")
    return user, password


def corrections_folder(args: argparse.Namespace) -> Path | None:
    """Where corrections go. What strangers send is written to this machine's disk only when asked for."""
    private = args.host in ("127.0.0.1", "localhost", "::1") and not args.share
    return args.corrections or (CORRECTIONS if private else None)


def serve(page: gr.Blocks, *, auth: tuple[str, str] | None = None, **options) -> tuple:
    """Start serving the page, and the tool for MCP; options as of gr.Blocks.launch."""
    others = [os.environ.get("SPACE_HOST", ""), os.environ.get("GRADIO_ROOT_PATH", "")]
    hosts = hosts_of(options.get("server_name"), share=options.get("share", False), others=others)
    if missing := why_no_mcp(auth):
        print(f"There is no MCP here: {missing}.")
    return page.launch(
        theme=theme(),
        head=head(),
        favicon_path=FAVICON,
        max_file_size=MAX_UPLOAD_BYTES,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=not missing,
        auth=auth,
        state_session_capacity=MAX_SESSIONS,
        app_kwargs={"middleware": [Middleware(Door, page=page, hosts=hosts)]},
        **options,
    )


def load(args: argparse.Namespace) -> Pipeline | Borrowing:
    """The pipeline that was asked for. Raises ModelError and PresetError."""
    pipeline = load_pipeline(args)
    return Borrowing(pipeline, spaces.GPU(duration=GPU_S)) if os.environ.get("SPACES_ZERO_GPU") else pipeline


def main() -> int:
    args = arguments()
    try:
        page = demo if ON_SPACE else build_page(load(args), corrections_folder(args))
    except (ModelError, PresetError) as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 1
    uploads = Path(os.environ["GRADIO_TEMP_DIR"])
    try:
        make_folder(uploads)
    except OSError as error:
        print(f"app.py: no place for uploads: {error}", file=sys.stderr)
        return 1
    keep_clean(uploads)
    try:
        serve(page, server_name=args.host, server_port=args.port, share=args.share, auth=args.auth)
    except OSError:
        print(f"app.py: cannot listen on {args.host}:{args.port}: see --host and --port", file=sys.stderr)
        return 1
    return STOPPED  # Gradio serves until Ctrl-C


if ON_SPACE:  # which wants its models on the GPU before anything is served, and the page under this name
    demo = build_page(load(arguments()))

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # while the models load
        sys.exit(STOPPED)
