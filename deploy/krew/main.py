"""`__main__.py` of the zipapp: the help at once, as it was rendered when built; completion by its name; the plugin."""

import os
import sys


def _help() -> str:
    """Return the help that is asked for; "" if none is, or if the terminal is too narrow for what was rendered."""
    words = sys.argv[1:]
    if not words or words[-1] not in ("-h", "--help") or len(words) > 2:
        return ""
    try:
        if sys.stdout.isatty() and os.get_terminal_size().columns < 80:
            return ""
    except OSError:
        pass
    import json

    archive = sys.modules["__main__"].__loader__
    texts = json.loads(archive.get_data("help.json"))
    return str(texts.get("".join(words[:-1]), ""))


def _main() -> int:
    text = _help()
    if text:
        sys.stdout.write(text)
        return 0
    if os.path.basename(sys.argv[0]).startswith("kubectl_complete-"):
        from kubectl_evsjob.completion import main
    else:
        from kubectl_evsjob.cli import main
    return main()


sys.exit(_main())
