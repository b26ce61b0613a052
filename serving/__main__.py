"""``python -m serving`` is ``stagecast``."""

from serving.cli import main

if __name__ == "__main__":
    main()
