#!/usr/bin/env python3
"""Measures the promises that one node can show, each beside its reference, in one run.

usage: tests/bench/run.py BINARY        (make bench)
Prints the table, writes docs/performance.md, and keeps the raw figures in build/bench/.
  BENCH_QUICK=1     a short run, to see that everything works; docs/performance.md stays as it is
  BENCH_KEYS=n      keys for LIST, idle memory and start-up (default 1,000,000)
  BENCH_ONLY=a,b    only these rows
Exit code 0 when every row could be measured; a promise that is missed is no failure of this script.
"""
import contextlib
import datetime
import hashlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BINARY = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
os.environ["HAMSTER"] = BINARY
sys.path.insert(0, os.path.join(ROOT, "tests"))
import hamster_process as hp  # noqa: E402  (reads HAMSTER)

QUICK = os.environ.get("BENCH_QUICK", "") not in ("", "0")
KEYS = int(os.environ.get("BENCH_KEYS", "20000" if QUICK else "1000000"))
ONLY = [name for name in os.environ.get("BENCH_ONLY", "").split(",") if name]
ROUNDS = 1 if QUICK else 3            # of measurement and reference, in turns; medians count
SECONDS = 2 if QUICK else 6           # of one measurement
CELL_SECONDS = 1 if QUICK else 4      # of one cell of the matrix
CLIENTS = (1, 20, 32, 64, 128)
SIZES = ("4KiB", "64KiB", "1MiB")
OUT = os.path.join(ROOT, "build", "bench")
MIB = 1 << 20
GIB = 1 << 30
SPARE_DISK = 8 << 30                  # bytes that the memory row leaves free


# ---- the load generator --------------------------------------------------------------------------

def bench(endpoint, mode, *flags, pid=None):
    """The JSON of one run of `hamster bench`. Raises when a request failed."""
    command = [BINARY, "bench", mode, "-json", "-endpoint", endpoint, *map(str, flags)]
    if pid:
        command += ["-server-pid", str(pid)]
    run = subprocess.run(command, env=hp.environment(), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(command[1:])}: {run.stderr.strip()} {run.stdout[-600:]}")
    return json.loads(run.stdout)


class Node(contextlib.AbstractContextManager):
    """A real node in a directory beside the build, on the file system that is measured."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="node-", dir=OUT)
        self.process = hp.Hamster(data_dir=os.path.join(self.home, "data"))

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.process.close()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def pid(self):
        return self.process.process.pid

    def bench(self, mode, *flags):
        return bench(self.process.endpoint, mode, *flags, pid=self.pid)

    def memory(self, field="VmRSS"):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError("no memory figures")

    def first_answer(self):
        """Starts the node; seconds until its S3 port answers (403: the request is not signed)."""
        begin = time.monotonic()
        self.process.start(wait=False)
        while time.monotonic() - begin < hp.START_LIMIT_S:
            try:
                urllib.request.urlopen(self.process.endpoint + "/", timeout=hp.START_LIMIT_S)
            except urllib.error.HTTPError as answer:
                if answer.code == 403:
                    return time.monotonic() - begin
            except OSError:
                pass
            time.sleep(0.002)
        raise RuntimeError("the node does not answer:\n" + self.process.log())


class Nginx(contextlib.AbstractContextManager):
    """nginx with its own configuration, serving files of our sizes from loopback."""

    def __init__(self, sizes):
        self.home = tempfile.mkdtemp(prefix="nginx-", dir=OUT)
        self.port = hp.free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        os.chmod(self.home, 0o755)
        for name, size in sizes.items():
            with open(os.path.join(self.home, name), "wb") as file:
                for _ in range(max(1, size // MIB)):
                    file.write(os.urandom(min(size, MIB)))
        user = "user root;" if os.geteuid() == 0 else ""
        with open(os.path.join(self.home, "nginx.conf"), "w", encoding="ascii") as conf:
            conf.write(f"""{user}
worker_processes auto; daemon off; pid {self.home}/pid; error_log {self.home}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000;
    open_file_cache max=100; client_body_temp_path {self.home}/t1; proxy_temp_path {self.home}/t2;
    fastcgi_temp_path {self.home}/t3; uwsgi_temp_path {self.home}/t4; scgi_temp_path {self.home}/t5;
    server {{ listen 127.0.0.1:{self.port} backlog=4096; root {self.home}; }}
}}
""")

    def __enter__(self):
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([binary, "-p", self.home, "-c", "nginx.conf",
                                         "-e", os.path.join(self.home, "error.log")],
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        for _ in range(1000):
            try:
                urllib.request.urlopen(self.endpoint + "/4KiB", timeout=5).read()
                return self
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("nginx does not start")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        shutil.rmtree(self.home, ignore_errors=True)


# ---- references ----------------------------------------------------------------------------------

def sync_rate():
    """One writer, one 4 KiB pwrite and one fdatasync at a time, into a pre-written file."""
    path = os.path.join(OUT, "sync-probe")
    blocks = 16384
    with open(path, "wb") as file:
        for _ in range(blocks * 4096 // MIB):
            file.write(os.urandom(MIB))
        file.flush()
        os.fsync(file.fileno())
    fd = os.open(path, os.O_WRONLY)
    data = os.urandom(4096)
    done = 0
    begin = time.monotonic()
    while time.monotonic() - begin < SECONDS / 2:
        os.pwrite(fd, data, done % blocks * 4096)
        os.fdatasync(fd)
        done += 1
    rate = done / (time.monotonic() - begin)
    os.close(fd)
    os.unlink(path)
    return rate


def md5_rate():
    """Bytes per second of OpenSSL's MD5 on one core."""
    data = os.urandom(MIB)
    digest = hashlib.md5(usedforsecurity=False)
    done = 0
    begin = time.monotonic()
    while time.monotonic() - begin < SECONDS / 2:
        digest.update(data)
        done += len(data)
    return done / (time.monotonic() - begin)


def in_turns(measure, reference):
    """Medians of both, measured in turns so that both see the same neighbours on the machine."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(reference())
        ours.append(measure())
    return statistics.median(ours), statistics.median(theirs)


# ---- rows: each answers (measured, reference, met, how it is told) -------------------------------

class Row:
    def __init__(self, name, promise, measured, reference, ratio, met, raw):
        self.name, self.promise, self.met, self.raw = name, promise, met, raw
        self.measured, self.reference, self.ratio = measured, reference, ratio

    def cells(self):
        return [self.name, self.promise, self.measured, self.reference, self.ratio, self.met]


def at_least(ratio, wanted):
    return "met" if ratio >= wanted else f"missed by {100 * (1 - ratio / wanted):.0f} %"


def at_most(value, limit):
    return "met" if value <= limit else f"missed by {100 * (value / limit - 1):.0f} %"


def put_small():
    raw = []
    with Node() as node:
        node.bench("put", "-clients", 64, "-duration", "1s")  # files and caches are warm

        def measure():
            raw.append(node.bench("put", "-clients", 64, "-duration", f"{SECONDS}s"))
            return raw[-1]["requests_per_second"]
        ours, sync = in_turns(measure, sync_rate)
    return Row("PUT 4 KiB, 64 clients, durable", ">= 5x fdatasync", f"{ours:,.0f}/s",
               f"{sync:,.0f} syncs/s", f"{ours / sync:.2f}x", at_least(ours / sync, 5), raw)


def get_beside_nginx(name, promise, size, clients, wanted, objects):
    raw = []
    big = {"4KiB": 4096, "64MiB": 64 * MIB}
    load = ("-size", size, "-clients", clients, "-duration", f"{SECONDS}s")
    field = "requests_per_second" if size == "4KiB" else "bytes_per_second"
    with Nginx(big) as nginx, Node() as node:
        node.bench("put", "-size", size, "-objects", objects, "-requests", objects, "-keep",
                   "-clients", min(4, objects))

        def measure():
            raw.append(node.bench("get", "-reuse", "-objects", objects, *load))
            return raw[-1][field]

        def reference():
            raw.append(bench(nginx.endpoint, "get", "-path", "/" + size, *load))
            return raw[-1][field]
        ours, theirs = in_turns(measure, reference)

    def tell(x):
        return f"{x:,.0f}/s" if size == "4KiB" else f"{x / MIB:,.0f} MiB/s"
    return Row(name, promise, tell(ours), f"nginx {tell(theirs)}", f"{100 * ours / theirs:.0f} %",
               at_least(ours / theirs, wanted), raw)


def get_small():
    return get_beside_nginx("GET 4 KiB, 64 clients, signed", ">= 50 % of nginx", "4KiB", 64, 0.5,
                            1000)


def get_large():
    return get_beside_nginx("GET 64 MiB, 4 clients", ">= 80 % of nginx", "64MiB", 4, 0.8, 4)


def put_large():
    raw = []
    with Node() as node:
        def measure():
            raw.append(node.bench("put", "-size", "64MiB", "-clients", 1, "-objects", 4,
                                  "-duration", f"{SECONDS}s"))
            return raw[-1]["bytes_per_second"]
        ours, md5 = in_turns(measure, md5_rate)
    return Row("PUT 64 MiB, one client", ">= 85 % of one core's MD5", f"{ours / MIB:,.0f} MiB/s",
               f"MD5 {md5 / MIB:,.0f} MiB/s", f"{100 * ours / md5:.0f} %",
               at_least(ours / md5, 0.85), raw)


def many_keys():
    """LIST, idle memory and start-up share one node, for its keys take a while to make."""
    raw = []
    with Node() as node:
        raw.append(node.bench("put", "-size", 1, "-clients", 64, "-objects", KEYS, "-requests",
                              KEYS, "-keep"))
        rates = []
        for _ in range(ROUNDS):
            raw.append(node.bench("list", "-reuse", "-objects", KEYS, "-clients", 8,
                                  "-duration", f"{SECONDS}s"))
            rates.append(raw[-1]["keys_per_second"])
        time.sleep(2 if QUICK else 15)
        after_load = node.memory()
        node.process.kill()
        start = node.first_answer()
        raw.append(node.bench("get", "-reuse", "-verify", "-size", 1, "-objects", KEYS,
                              "-requests", 1000))
        time.sleep(2 if QUICK else 15)
        after_start = node.memory()
    listed, idle = statistics.median(rates), max(after_load, after_start)
    keys = f"{KEYS:,} keys"
    return [
        Row(f"LIST, {keys}", ">= 225,000 keys/s", f"{listed:,.0f} keys/s", "best published",
            f"{listed / 225000:.2f}x", at_least(listed / 225000, 1), raw),
        Row(f"memory, idle with {keys}", "<= 150 MiB",
            f"{after_load / MIB:.0f} MiB after the load, {after_start / MIB:.0f} after a start", "",
            f"{idle / MIB / 150:.2f}x", at_most(idle / MIB, 150),
            {"after_load": after_load, "after_start": after_start}),
        Row(f"start-up with {keys}, after kill -9", "<= 3 s to the first answer", f"{start:.2f} s",
            "", f"{start / 3:.2f}x", at_most(start, 3), {"seconds": start}),
    ]


def memory_under_puts():
    """256 clients send 1 GiB each; the generator is ended before the disk is full."""
    peak = 0
    with Node() as node:
        load = subprocess.Popen(
            [BINARY, "bench", "put", "-endpoint", node.process.endpoint, "-size", "1GiB",
             "-clients", "256", "-unsigned-payload", "-duration", "1h"],
            env=hp.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begin = time.monotonic()
        try:
            while time.monotonic() - begin < (5 if QUICK else 40):
                time.sleep(0.2)
                peak = max(peak, node.memory("VmHWM"))
                if load.poll() is not None:
                    raise RuntimeError(f"the generator ended by itself with {load.returncode}")
                if shutil.disk_usage(OUT).free < SPARE_DISK:
                    break
        finally:
            load.kill()
            load.wait()
        moved = node.process.metric("hamster_s3_received_bytes_total")
    return Row("memory, 256 clients PUTting 1 GiB objects", "<= 512 MiB resident",
               f"{peak / MIB:.0f} MiB", "", f"{peak / MIB / 512:.2f}x", at_most(peak / MIB, 512),
               {"peak": peak, "bytes": moved})


def erasure():
    """The erasure code of 4+2, beside ISA-L in one process, in turns; bytes of the body count."""
    program = os.path.join(os.path.dirname(BINARY), "hamster-erasure-bench")
    run = subprocess.run([program, "--benchmark_format=json", f"--benchmark_repetitions={3 * ROUNDS}",
                          f"--benchmark_min_time={SECONDS / 30}",
                          "--benchmark_enable_random_interleaving=true"],
                         capture_output=True, text=True, check=True)
    result = json.loads(run.stdout)
    best = result["context"]["kernel"]
    rows = []
    for work in ("encode", "reconstruct"):
        rates = {entry["run_name"].split("/")[2]: entry["bytes_per_second"]
                 for entry in result["benchmarks"]
                 if entry.get("aggregate_name") == "median" and f"/{work}/" in entry["run_name"]}
        theirs = rates.pop("isa-l")
        ours = rates.pop(best)
        slower = sorted(rates.items(), key=lambda entry: -entry[1])
        others = ", ".join(f"{name} {rate / GIB:.1f}" for name, rate in slower)
        ratios = ", ".join(f"{name} {rate / theirs:.2f}x" for name, rate in slower)
        rows.append(Row(f"EC 4+2 {work}, slices of 256 KiB, one core", ">= ISA-L 2.30",
                        f"{best} {ours / GIB:.1f} GiB/s ({others})", f"{theirs / GIB:.1f} GiB/s",
                        f"{ours / theirs:.2f}x ({ratios})", at_least(ours / theirs, 1),
                        result["benchmarks"]))
    return rows


def matrix():
    """PUT and GET by size and number of clients."""
    cells = []
    with Node() as node:
        for size in SIZES:
            objects = {"4KiB": 10000, "64KiB": 4000, "1MiB": 500}[size]
            node.bench("put", "-size", size, "-objects", objects, "-requests", objects, "-keep")
            for mode in ("put", "get"):
                for clients in CLIENTS:
                    keys = ("-objects", objects) + (("-reuse",) if mode == "get" else ("-keep",))
                    cell = node.bench(mode, "-size", size, "-clients", clients, "-duration",
                                      f"{CELL_SECONDS}s", *keys)
                    cell["size_name"] = size
                    cells.append(cell)
    return cells


ROWS = {"put_small": put_small, "get_small": get_small, "get_large": get_large,
        "put_large": put_large, "many_keys": many_keys, "memory": memory_under_puts,
        "erasure": erasure}


# ---- the report ----------------------------------------------------------------------------------

def machine():
    cpu = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    run = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", OUT], capture_output=True,
                         text=True, check=False)
    return (f"{os.cpu_count()} cores of {cpu}, {pages / (1 << 30):.0f} GiB of memory, "
            f"{run.stdout.strip()}, Linux {platform.release()}")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def matrix_table(cells):
    rows = []
    for cell in cells:
        latency = cell["latency_us"]
        rows.append([cell["mode"].upper(), cell["size_name"], cell["clients"],
                     f"{cell['requests_per_second']:,.0f}",
                     f"{cell['bytes_per_second'] / MIB:,.1f}",
                     *(f"{latency[p] / 1000:.2f}" for p in ("p50", "p99", "p99.9")),
                     f"{cell.get('server_cpu_us_per_request', 0):.0f}",
                     f"{cell['generator_cpu_us_per_request']:.0f}"])
    return table(["", "size", "clients", "requests/s", "MiB/s", "p50 ms", "p99 ms", "p99.9 ms",
                  "CPU us/request", "of the generator"], rows)


def notes():
    with open(os.path.join(HERE, "notes.md"), encoding="utf-8") as file:
        return file.read()


def document(rows, cells, failures, load):
    text = ["# Performance\n",
            "Written by `make bench`; the last section comes from `tests/bench/notes.md`. Client "
            "and server share the machine. Ratios compare figures of one run, taken in turns.\n",
            f"- machine: {machine()}",
            f"- date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}",
            f"- load of the machine before the run: {load:.1f} (over 1: it had other work)\n",
            "## The promises\n",
            table(["work", "promise", "measured", "reference", "ratio", ""],
                  [row.cells() for row in rows])]
    if failures:
        text.append("Not measured:\n\n" +
                    "\n".join(f"- {name}: {why}" for name, why in failures.items()) + "\n")
    if cells:
        text += ["## By size and number of clients\n",
                 "Each request signed, each PUT durable before it is answered.\n",
                 matrix_table(cells)]
    text.append(notes())
    return "\n".join(text)


def measure_all():
    rows, cells, failures = [], [], {}
    for name, row in {**ROWS, "matrix": matrix}.items():
        if ONLY and name not in ONLY:
            continue
        print(f"bench: {name} ...", file=sys.stderr, flush=True)
        try:
            result = row()
        except Exception as error:  # one row that fails must not take the others with it
            traceback.print_exc()
            failures[name] = str(error).splitlines()[0][:300]
            continue
        if name == "matrix":
            cells = result
        else:
            rows += result if isinstance(result, list) else [result]
    return rows, cells, failures


def main():
    if not os.path.exists(BINARY):
        sys.exit(__doc__)
    os.makedirs(OUT, exist_ok=True)
    load = os.getloadavg()[0]
    rows, cells, failures = measure_all()
    text = document(rows, cells, failures, load)
    print(text)
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    with open(os.path.join(OUT, f"{stamp}.json"), "w", encoding="utf-8") as file:
        json.dump({"rows": [vars(row) for row in rows], "matrix": cells, "failures": failures,
                   "machine": machine(), "load": load}, file, indent=1)
    if not QUICK and not ONLY:
        with open(os.path.join(ROOT, "docs", "performance.md"), "w", encoding="utf-8") as file:
            file.write(text)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
