"""Functions for the workers of guarded tests: what decoders do at their worst."""

import os
import time


def misbehave(shared: int, item: str) -> int:
    if item == "hangs":
        time.sleep(600)
    if item == "crashes":
        os.kill(os.getpid(), 11)
    return shared + len(item)
