# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole kernel …``: the kernels in the cache, and how they come there and go."""

from __future__ import annotations

from typing import Annotated

import typer

from pinhole.options import OfflineOption, PatchOption, SandboxOption, examples, kernel_words

kernel_app = typer.Typer(
    no_args_is_help=True,
    help="Build kernels from source, and look after those that are cached.",
)

KernelArgument = Annotated[
    str,
    typer.Argument(
        help="A kernel: debian:6.12, source:debian:6.12, variant:NAME, git:PLACE@REF, tree:PATH, "
        "tarball:PATH@SHA256, image:PATH, or a recipe's FILE.yaml.",
        metavar="K",
        autocompletion=kernel_words,
    ),
]
KernelsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Kernels, as 'pinhole kernel show --help' says.",
        metavar="K...",
        autocompletion=kernel_words,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@kernel_app.command(
    "build",
    epilog=examples(
        "pinhole kernel build source:debian:6.12",
        "pinhole kernel build variant:pin-anyway",
        "pinhole kernel build tree:~/linux",
        "pinhole kernel build source:debian:6.12 --patch series.mbox --json",
        "pinhole kernel build source:debian:6.12 --verify     once more, from nothing: the same?",
    ),
)
def build(
    kernels: KernelsArgument,
    patch: PatchOption = None,
    sandbox: SandboxOption = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Build each again from nothing, without ccache, and compare the images.",
        ),
    ] = False,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Build kernels from source, each once: what is in the cache is not built again."""
    from pinhole.tools.kernels import KernelRequest, build_kernels

    request = KernelRequest(tuple(kernels), tuple(patch or ()), sandbox, offline)
    raise typer.Exit(build_kernels(request, verify=verify, as_json=as_json))


@kernel_app.command(
    "fetch",
    epilog=examples("pinhole kernel fetch debian:5.10 source:debian:6.12   then: --offline"),
)
def fetch(kernels: KernelsArgument) -> None:
    """Fetch ready kernels, and the sources of those that are built, for use without a network."""
    from pinhole.tools.kernels import KernelRequest, fetch_kernels

    fetch_kernels(KernelRequest(tuple(kernels)))


@kernel_app.command("list", epilog=examples("pinhole kernel list --json"))
def list_kernels(as_json: JsonOption = False) -> None:
    """List the kernels in the cache, those used last first."""
    from pinhole.tools.kernels import print_kernels

    print_kernels(as_json=as_json)


@kernel_app.command(
    "show",
    epilog=examples("pinhole kernel show variant:pin-anyway", "pinhole kernel show build1-3f2a"),
)
def show(
    kernel: Annotated[
        str,
        typer.Argument(
            help="A kernel as above that is in the cache, or the beginning of a key.", metavar="K"
        ),
    ],
    patch: PatchOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a cached kernel was made of, how, and where its files are."""
    from pinhole.tools.kernels import KernelRequest, show_kernel

    show_kernel(KernelRequest((kernel,), tuple(patch or ()), offline=True), as_json=as_json)


@kernel_app.command(
    "config",
    epilog=examples(
        "pinhole kernel config source:debian:6.12 > .config",
        "pinhole kernel config source:debian:6.12 --explain CONFIG_VIRTIO_MEM",
    ),
)
def config(
    kernel: KernelArgument = "source:debian:6.12",
    explain: Annotated[
        list[str] | None,
        typer.Option(
            "--explain",
            help="Say of an option who asks for it, what it is set to, and what it depends on. "
            "Repeatable.",
            metavar="CONFIG_X",
        ),
    ] = None,
    patch: PatchOption = None,
    sandbox: SandboxOption = None,
    offline: OfflineOption = False,
) -> None:
    """Print the configuration that a kernel is built with, or explain options of it."""
    from pinhole.tools.kernel_config import print_config
    from pinhole.tools.kernels import KernelRequest

    request = KernelRequest((kernel,), tuple(patch or ()), sandbox, offline)
    print_config(request, tuple(explain or ()))


@kernel_app.command(
    "prune",
    epilog=examples(
        "pinhole kernel prune                        what was not used for 30 days",
        "pinhole kernel prune --older-than 0 --dry-run",
        "pinhole kernel prune --keep 20G             the oldest first, until that is left",
        "pinhole kernel prune --key build1-3f2a      one kernel",
    ),
)
def prune(
    older_than: Annotated[
        float,
        typer.Option("--older-than", min=0, help="Days without use.", metavar="DAYS"),
    ] = 30.0,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", help="Instead: the least recently used, down to this size.", metavar="SIZE"
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", help="Instead: the kernels whose key begins so.", metavar="KEY"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and leave it.")
    ] = False,
) -> None:
    """Remove kernels, sources and build trees from the cache; what is being made stays."""
    from pinhole.tools.prune import prune_cache

    prune_cache(older_than_days=older_than, keep=keep, key=key, dry_run=dry_run)
