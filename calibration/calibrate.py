#!/usr/bin/env python3
"""Calibrate a machine: benchmark output and traces in, a profile out (as ``perfmodel calibrate``).

python calibration/calibrate.py calibration/data/NAME -o calibration/profiles/NAME.json
"""

import sys

from perfmodel.cli import main

if __name__ == "__main__":
    sys.exit(main(["calibrate", *sys.argv[1:]]))
