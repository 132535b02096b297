"""Start a conversion and kill -9 it at a random moment, again and again: python kill_conversion.py RECORDS STORE TIMES

Conversions are forked from this process, which has everything imported, so that kills hit the work and not the
start. After each kill what the manifest names must be readable. Prints how many conversions were killed and how
many ended before they could be; after an end, the store is removed and made anew.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from pcdet_poly.data.convert.from_waymo import convert_waymo
from pcdet_poly.data.store.frame_store import Store


def main(records: str, store: Path, times: int) -> None:
    convert_waymo([records], store)  # kernels are loaded, and the time is known
    shutil.rmtree(store)
    begin = time.monotonic()
    convert_waymo([records], store)
    seconds = time.monotonic() - begin
    shutil.rmtree(store)
    rng, killed, ended = random.Random(0), 0, 0
    while killed < times:
        child = os.fork()
        if not child:
            convert_waymo([records], store)
            os._exit(0)
        time.sleep(rng.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        for frame in Store(store) if (store / "manifest.json").exists() else ():
            assert len(frame.points)
        if os.WIFSIGNALED(status):
            killed += 1
        else:
            assert status == 0
            ended += 1
            shutil.rmtree(store)
    print(killed, ended)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
