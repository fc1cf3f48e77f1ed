#!/usr/bin/env python3
"""The CT measurement from stored files to the result, beside its floors: reading the files, and (for the real CT)
nothing but decoding. Prints one JSON line a case; medians. The goals are in docs/design.md section 9.

    python3 bench/ct_bench.py --build build [--runs 5] [--slices 300]
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SHARED = os.environ.get('SHANHAI_SHARED', '../shared')


def measure(program, folder, runs):
    """Wall time of the whole command and the parts it reports."""
    walls, loads, computes = [], [], []
    for _ in range(runs):
        begin = time.monotonic()
        made = subprocess.run([program, 'measure-ct', folder], capture_output=True, check=False)
        walls.append(time.monotonic() - begin)
        if made.returncode != 0:
            sys.exit(f'measure-ct ended with {made.returncode}: {made.stderr.decode()}')
        result = json.loads(made.stdout)
        loads.append(result['time_ms']['load'] / 1000)
        computes.append(result['time_ms']['compute'] / 1000)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return walls, loads, computes, peak, result


def read_all(folder):
    begin = time.monotonic()
    size = 0
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), 'rb', buffering=0) as file:
            size += len(file.read())
    return time.monotonic() - begin, size


def report(name, program, folder, runs, goal):
    read_all(folder)
    floor, size = read_all(folder)
    walls, loads, computes, peak, result = measure(program, folder, runs)
    print(json.dumps({
        'bench': 'ct', 'case': name, 'slices': result['series']['slices_count'], 'megabytes': round(size / 1e6),
        'wall_s': round(statistics.median(walls), 3), 'best_s': round(min(walls), 3),
        'load_s': round(statistics.median(loads), 3), 'compute_s': round(statistics.median(computes), 3),
        'goal_s': goal, 'floor_read_s': round(floor, 3), 'peak_mb': round(peak), 'runs': runs,
        'load_average': round(os.getloadavg()[0], 1), 'cores': os.cpu_count(),
    }), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', default='build')
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--slices', type=int, default=300)
    options = parser.parse_args()
    program = os.path.join(options.build, 'src/shanhai')
    folder = tempfile.mkdtemp(prefix='shanhai-ct-bench-')
    try:
        subprocess.run([os.path.join(options.build, 'scenarios/shanhai-phantom'), '--out', folder, '--slices',
                        str(options.slices)], stdout=subprocess.DEVNULL, check=True)
        report('phantom, uncompressed', program, folder, options.runs, 1.5)
    finally:
        shutil.rmtree(folder)
    real = os.path.join(SHARED, 'data/ct/lidc-idri-0314')
    if os.path.isdir(real):
        report('real, JPEG-LS', program, real, options.runs, 3)
    else:
        print(f'left out: the real CT is not at {real}', file=sys.stderr)


if __name__ == '__main__':
    main()
