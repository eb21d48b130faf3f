#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""loader.py NAME FILE: load programs called NAME, over and over, until FILE.stop is there; then leave in
FILE a line with id and load time of each that the kernel accepted. Its own count is what a log is held to."""
import os
import sys
import time

import guest

PAUSE_S = 0.004
REST = 2    # times as long as a load took: on a busy machine the daemon has to come along, too


def main():
    name, path = sys.argv[1:]
    load, accepted = guest.Load(name, guest.RETURN_ZERO), []
    while not os.path.exists(f"{path}.stop"):
        begin = time.monotonic()
        program = load.run()
        number, _, load_time = guest.program_info(program)
        accepted.append(f"{number} {load_time}\n")
        os.close(program)
        time.sleep(max(PAUSE_S, REST * (time.monotonic() - begin)))
    with open(path, "w", encoding="ascii") as file:
        file.writelines(accepted)


if __name__ == "__main__":
    main()
