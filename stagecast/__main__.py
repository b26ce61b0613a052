"""``python -m stagecast`` is the command ``stagecast``."""

from stagecast.serving.cli import main

if __name__ == "__main__":
    main()
